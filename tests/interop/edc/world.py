"""One run's two connectors with relays between them, what each offers, and the steps that several checks need."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comity.client.connector import NEGOTIATIONS, TRANSFERS
from interop.edc.checks import CheckError, wait_for
from interop.edc.places import Endpoint
from interop.edc.relay import Capture, Crossing, Relay
from interop.edc.stock import EDC, PROTOCOL, Stock
from support import processes
from support.ports import free_port

Document = dict[str, Any]

COMITY_ID, EDC_ID = "urn:connector:comity", "urn:connector:edc"
EDC_ASSET, EDC_EXPIRED, EDC_SMALL = "edc-pump", "edc-expired", "edc-manual"
OUR_FILE, OUR_PACKAGE, OUR_CLOSED = "comity-pump", "comity-package", "comity-closed"
OUR_TIMED, OUR_ENDED = "comity-timed", "comity-ended"
OURS = (OUR_FILE, OUR_PACKAGE, OUR_CLOSED, OUR_TIMED, OUR_ENDED)
UNTIL = "2035-12-31"
BYTES = 3_000_017
IN_FORCE = EDC + "inForceDate"
THIRTY_DAYS = {"leftOperand": IN_FORCE, "operator": "lteq", "rightOperand": "contractAgreement+30d"}
LONG_AGO = {"leftOperand": IN_FORCE, "operator": "lteq", "rightOperand": "2020-01-01T00:00:00Z"}


@dataclass
class World:
    """Both sides, the wire between them, an endpoint of the runner's, and what the run has learned."""

    folder: Path
    version: str
    capture: Capture
    to_edc: Relay
    to_us: Relay
    edc: Stock
    us: processes.Served
    endpoint: Endpoint
    known: dict[str, str] = field(default_factory=dict)
    formats: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, version: str, jars: Path) -> World:
        """Prepare both; nothing of them runs yet."""
        capture = Capture()
        theirs, our_port = free_port(), free_port()
        to_edc = Relay(capture, target=theirs, sender="Comity", receiver="EDC")
        to_us = Relay(capture, target=our_port, sender="EDC", receiver="Comity")
        edc = Stock(version, jars, folder, participant_id=EDC_ID, protocol_port=theirs)
        us = processes.make(
            *(folder, "comity"),
            port=our_port,
            address=to_us.address,
            participant_id=COMITY_ID,
            mock_identity=True,
        )
        return cls(folder, version, capture, to_edc, to_us, edc, us, Endpoint())

    def close(self) -> None:
        """Stop everything, whatever happened."""
        for each in (self.edc.stop, self.us.end, self.to_edc.close, self.to_us.close, self.endpoint.close):
            each()

    # What both offer

    def offer_all(self) -> None:
        """Put assets, policies and contract definitions into both connectors."""
        self._offer_at_edc()
        self._offer_at_ours()

    def _offer_at_edc(self) -> None:
        self.endpoint.served = {"/pump": os.urandom(BYTES), "/manual": b"Read this first.\n"}
        for name, constraint in (("thirty-days", THIRTY_DAYS), ("long-ago", LONG_AGO)):
            rule = {"action": "use", "constraint": [constraint]}
            policy = {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set", "permission": [rule]}
            self.edc.request("POST", "policydefinitions", {"@id": name, "policy": policy})
        offered = ((EDC_ASSET, "pump", "thirty-days"), (EDC_EXPIRED, "pump", "long-ago"))
        for asset, file, policy_id in (*offered, (EDC_SMALL, "manual", "thirty-days")):
            address = {
                "@type": "DataAddress",
                "type": "HttpData",
                "baseUrl": f"{self.endpoint.address}/{file}",
            }
            said = {"name": f"Pump P-100, {file}", "contenttype": "application/octet-stream"}
            self.edc.request("POST", "assets", {"@id": asset, "properties": said, "dataAddress": address})
            self.edc.request(
                "POST",
                "contractdefinitions",
                {
                    "@id": f"def-{asset}",
                    "accessPolicyId": policy_id,
                    "contractPolicyId": policy_id,
                    "assetsSelector": [
                        {
                            "@type": "Criterion",
                            "operandLeft": EDC + "id",
                            "operator": "=",
                            "operandRight": asset,
                        }
                    ],
                },
            )

    def _offer_at_ours(self) -> None:
        (self.folder / "pump.bin").write_bytes(os.urandom(BYTES))
        for name, permission in (
            ("use", {"action": "use"}),
            ("edc", {"action": "use", "constraint": [_is("recipient", EDC_ID)]}),
            ("other", {"action": "use", "constraint": [_is("recipient", "urn:connector:other")]}),
            ("thirty-days", {"action": "use", "constraint": [THIRTY_DAYS]}),
            ("long-ago", {"action": "use", "constraint": [LONG_AGO]}),
        ):
            policy = {"@type": "Set", "permission": [permission]}
            self.us.api.request("POST", "policydefinitions", {"@id": name, "policy": policy})
        address = {"type": "File", "path": str(self.folder / "pump.bin")}
        for asset, policy_id in (
            (OUR_FILE, "edc"),
            (OUR_CLOSED, "other"),
            (OUR_TIMED, "thirty-days"),
            (OUR_ENDED, "long-ago"),
        ):
            said = {"name": f"Pump P-100, {asset}", "dataAddress": address}
            body = {"@id": asset, "properties": {"name": said["name"]}, "dataAddress": address}
            self.us.api.request("POST", "assets", body)
            selector = [{"operandLeft": "id", "operator": "=", "operandRight": asset}]
            definition = {"accessPolicyId": "use", "contractPolicyId": policy_id, "assetsSelector": selector}
            self.us.api.request("POST", "contractdefinitions", {"@id": f"def-{asset}", **definition})
        package = self.folder / "package"
        (package / "drawings").mkdir(parents=True)
        (package / "manual.txt").write_text("Read this first.\n")
        (package / "drawings" / "body.stl").write_bytes(os.urandom(65_537))
        done = self.us.run(
            *("publish", str(package), "--id", OUR_PACKAGE, "--title", "Pump P-100", "--to", "EDC"),
            *("--until", UNTIL),
        )
        if done.returncode:
            raise CheckError(f"comity publish: {done.stderr}")

    # Steps

    def edc_offer(self, asset: str) -> Document:
        """Return EDC's first offer of an asset, as our management API shows it, ready to be asked for."""
        offer = self.us.api.dataset(EDC_ID, asset)["hasPolicy"][0]
        return {**offer, "target": asset, "assigner": EDC_ID}

    def ask_edc(self, offer: Document) -> str:
        """Begin a negotiation as consumer through our management API; return our id of it."""
        body = {
            "@type": "ContractRequest",
            "counterPartyId": EDC_ID,
            "counterPartyAddress": self.edc.dsp,
            "protocol": PROTOCOL,
            "policy": offer,
        }
        return str(self.us.api.request("POST", NEGOTIATIONS, body)["@id"])

    def our_offer(self, asset: str) -> Document:
        """Return our first offer of an asset as EDC's management API shows it."""
        body = {
            "@type": "DatasetRequest",
            "@id": asset,
            "counterPartyAddress": self.us.dsp,
            "counterPartyId": COMITY_ID,
            "protocol": PROTOCOL,
        }
        found = self.edc.request("POST", "catalog/dataset/request", body)
        offers = found.get("hasPolicy") or found["odrl:hasPolicy"]
        offer: Document = offers[0] if isinstance(offers, list) else offers
        return offer

    def ask_us(self, offer: Document, asset: str) -> str:
        """Begin a negotiation as consumer through EDC's management API; return EDC's id of it."""
        policy = {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            **offer,
            "@type": "Offer",
            "assigner": COMITY_ID,
            "target": asset,
        }
        body = {
            "@type": "ContractRequest",
            "counterPartyAddress": self.us.dsp,
            "counterPartyId": COMITY_ID,
            "protocol": PROTOCOL,
            "policy": policy,
        }
        return str(self.edc.request("POST", "contractnegotiations", body)["@id"])

    def ours_reaches(self, noun: str, process_id: str, state: str, seconds: float = 20.0) -> Document:
        """Wait until our side of a process is in a state."""
        return _reaches(lambda: self.us.api.load(noun, process_id), f"ours to be {state}", state, seconds)

    def edc_reaches(self, noun: str, process_id: str, state: str, seconds: float = 20.0) -> Document:
        """Wait until EDC's side of a process is in a state."""
        return _reaches(lambda: self.edc.load(noun, process_id), f"EDC's to be {state}", state, seconds)

    def theirs_of(self, noun: str, our_id: str) -> str:
        """Return EDC's id of a process of ours."""
        return str(wait_for(lambda: self.us.api.load(noun, our_id).get("correlationId"), "EDC's id"))

    def ours_of(self, noun: str, edc_id: str) -> str:
        """Return our id of a process of EDC's."""
        criterion = {"operandLeft": "correlationId", "operator": "=", "operandRight": edc_id}
        found = wait_for(
            lambda: self.us.api.find(noun, limit=2, criteria=[criterion]), f"our side of {edc_id}"
        )
        return str(found[0]["@id"])

    def crossings(self, *pids: str) -> list[Crossing]:
        """Return what crossed the wire about some processes."""
        return self.capture.of(*pids)


def _is(left: str, right: str) -> Document:
    return {"leftOperand": left, "operator": "eq", "rightOperand": right}


ENDED = {"TERMINATED", "FINALIZED", "COMPLETED", "DEPROVISIONED"}
__all__ = ["ENDED", "NEGOTIATIONS", "TRANSFERS", "World"]


def _reaches(load: Callable[[], Document], what: str, state: str, seconds: float) -> Document:
    last: Document = {}

    def check() -> bool:
        nonlocal last
        last = load()
        if last["state"] in ENDED - {state}:
            raise CheckError(f"{what}: it is {last['state']}, {last.get('errorDetail')}")
        return bool(last["state"] == state)

    try:
        wait_for(check, what, seconds)
    except CheckError as error:
        raise CheckError(f"{error}; last {last.get('state')}, {last.get('errorDetail')}") from None
    return last
