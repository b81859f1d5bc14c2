"""The two connectors of a run, as `run.py` describes them, each with the SDK's services and controllers.

The SDK is used as it is published. What a check looks at is `requests` responses, which most of its methods return.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tractusx_sdk.dataspace.controllers.connector.controller_factory import ControllerFactory
from tractusx_sdk.dataspace.models.connector.model_factory import ModelFactory
from tractusx_sdk.dataspace.services.connector import ServiceFactory

from clients.tractusx.checks import CheckError, equal, wait_for

ID = "https://w3id.org/edc/v0.0.1/ns/id"
PROTOCOLS = {"jupiter": "dataspace-protocol-http", "saturn": "dataspace-protocol-http:2025-1"}


class Side:
    """One connector: the SDK's services for it, and the controllers that no service has."""

    def __init__(self, told: dict[str, str], version: str) -> None:
        self.did, self.dsp = told["did"], told["dsp"]
        base = (version, told["address"], "/management", {"X-Api-Key": told["key"]})
        self.provider = ServiceFactory.get_connector_provider_service(*base)
        self.consumer = ServiceFactory.get_connector_consumer_service(*base)
        self.adapter = self.consumer.dma_adapter
        self.version = version

    def controller(self, name: str) -> Any:
        """Return one of the SDK's controllers by the name that its factory has for it."""
        return getattr(ControllerFactory, f"get_{name}_controller")(self.version, self.adapter)


@dataclass
class World:
    """Both sides and what earlier checks left for later ones."""

    told: dict[str, Any]
    version: str
    provider: Side = field(init=False)
    consumer: Side = field(init=False)
    seen: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.provider = Side(self.told["provider"], self.version)
        self.consumer = Side(self.told["consumer"], self.version)

    @property
    def partner(self) -> dict[str, str]:
        """Whose data the consumer wants, by the names of the SDK's arguments."""
        return {"counter_party_id": self.provider.did, "counter_party_address": self.provider.dsp}

    @property
    def protocol(self) -> str:
        """What this version of the SDK calls the protocol."""
        return PROTOCOLS[self.version]

    def model(self, kind: str, **values: Any) -> Any:
        """Make one of the SDK's models."""
        return getattr(ModelFactory, f"get_{kind}_model")(dataspace_version=self.version, **values)

    def query(self, controller: Any, *criteria: dict[str, Any], **more: Any) -> list[Any]:
        """Query by a controller; the SDK's own defaults are the newest ten."""
        spec = self.model("queryspec", filter_expression=list(criteria), **more)
        return answered(controller.query(spec))

    def is_file(self, content: bytes) -> str:
        """Check that this is the data that was offered."""
        wanted = Path(self.told["file"]).read_bytes()
        equal(hashlib.sha256(content).hexdigest(), hashlib.sha256(wanted).hexdigest(), "the SHA-256")
        return f"{len(content)} bytes, {hashlib.sha256(content).hexdigest()[:16]}…"


def criterion(left: str, operator: str, right: Any) -> dict[str, Any]:
    """Return a criterion as the SDK's users write it."""
    return {"operandLeft": left, "operator": operator, "operandRight": right}


def answered(response: Any) -> Any:
    """Return the document of an answer that the SDK takes for success: 200, nothing else."""
    equal(response.status_code, 200, f"the status ({response.text[:300]})")
    return response.json()


def empty(response: Any) -> None:
    """Check that a change was taken."""
    equal(response.status_code, 204, f"the status ({response.text[:300]})")


def refused(response: Any, status: int, says: str = "") -> str:
    """Check that something was refused, and that the answer says why."""
    equal(response.status_code, status, f"the status ({response.text[:300]})")
    message = response.json()[0]["message"]
    if says not in message:
        raise CheckError(f"{says!r} is not in {message!r}")
    return f"{status}: {message[:120]}"


def ids(found: list[dict[str, Any]]) -> list[str]:
    """Return the ids of documents."""
    return [each["@id"] for each in found]


def reaches(controller: Any, oid: str, state: str) -> None:
    """Wait until a process is in a state, by the controller's own question for it."""
    wait_for(lambda: answered(controller.get_state_by_id(oid))["state"] == state, f"{oid} to be {state}")


def theirs(world: World, controller: Any, oid: str) -> dict[str, Any]:
    """Return the other side's document of a process: it has its own id for it."""
    found = world.query(controller, criterion("correlationId", "=", oid))
    equal(len(found), 1, "the number of processes of the other side with this correlationId")
    return found[0]


def described(path: str) -> dict[str, Any]:
    """Read what `run.py` says of the connectors."""
    return json.loads(Path(path).read_text())
