"""Two stock EDC connectors as sides of a measurement, on PostgreSQL, at EDC's defaults or tuned.

The jars are brought by Maven as `make interop` does (docs/reference/interop.md says which version, and why); identity
is EDC's mock, so that EDC signs and verifies nothing, while Comity beside it does. "Tuned" is what its state machines
allow: a pause of 10 ms between two looks at the store instead of a second, and batches of 200 rows instead of 20.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sides import Cpu, Offered, tree_cpu_s

from interop.edc import stock
from interop.edc.places import resident_mib
from support.ports import free_port

EDC = stock.EDC
TUNED = {
    "edc.negotiation.state-machine.iteration-wait-millis": "10",
    "edc.negotiation.state-machine.batch-size": "200",
    "edc.transfer.state-machine.iteration-wait-millis": "10",
}
TUNED_BEFORE_0_18 = {
    "edc.negotiation.consumer.state-machine.batch-size": "200",
    "edc.negotiation.provider.state-machine.batch-size": "200",
}
"""Names that 0.18 refuses to start with."""
CONNECTIONS = "64"


class Edc:
    """One EDC; `database` is the URL of its PostgreSQL database."""

    pause_s = 0.005
    """Its store is read less often than Comity's: it needs longer, and the reading costs what it could use."""
    starts = 3

    def __init__(  # noqa: PLR0913  what an EDC is made of
        self, version: str, jars: Path, folder: Path, name: str, *, database: str, tuned: bool
    ) -> None:
        folder = folder / name
        folder.mkdir(parents=True)
        port = free_port()
        self.name, self.database = name, database
        older = tuple(map(int, version.split(".")[:2])) < (0, 18)
        self._more = (TUNED | (TUNED_BEFORE_0_18 if older else {})) if tuned else {}
        self.participant, self.address = f"urn:connector:{name}", f"http://127.0.0.1:{port}"
        self._stock = stock.Stock(version, jars, folder, participant_id=self.participant, protocol_port=port)
        self.dsp = f"{self.address}/protocol/2025-1"
        self.management = f"http://127.0.0.1:{self._stock.management_port}/management/v3/"
        self.headers: dict[str, str] = {}

    def start(self) -> float:
        """Start it and return the seconds until it said that it is up."""
        store = {
            "edc.datasource.default.url": f"jdbc:{self.database.replace('comity@', '')}",
            "edc.datasource.default.user": "comity",
            "edc.datasource.default.password": "comity",
            "edc.datasource.default.pool.connections.max-total": CONNECTIONS,
            "edc.sql.schema.autocreate": "true",
        }
        self._stock.start(self.address, store | self._more)
        return self._stock.starts_s

    def stop(self) -> None:
        """End it."""
        self._stock.stop()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._stock.pid

    def memory_mib(self) -> float:
        """Resident memory now."""
        return resident_mib(self.pid)

    def cpu(self) -> Cpu:
        """CPU seconds so far."""
        return {"process": tree_cpu_s(self.pid)}

    def body(self, document: dict[str, Any]) -> dict[str, Any]:
        """A management request as this connector reads it: EDC wants its vocabulary said."""
        return {"@context": {"@vocab": EDC}, **document}

    def add_partner(self, other: Any) -> None:
        """EDC's mock identity believes whoever says a name."""

    def offer(self, _consumer: Any) -> None:
        """Offer one asset under a policy with a date, as Comity's side does."""
        rule = {
            "leftOperand": f"{EDC}inForceDate",
            "operator": "lteq",
            "rightOperand": "2099-12-31T00:00:00Z",
        }
        policy = {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@type": "Set",
            "permission": [{"action": "use", "constraint": [rule]}],
        }
        self._stock.request("POST", "policydefinitions", {"@id": "policy", "policy": policy})
        address = {"@type": "DataAddress", "type": "HttpData", "baseUrl": "http://127.0.0.1:9/none"}
        asset = {"@id": "asset", "properties": {"name": "bench"}, "dataAddress": address}
        self._stock.request("POST", "assets", asset)
        definition = {"accessPolicyId": "policy", "contractPolicyId": "policy", "assetsSelector": []}
        self._stock.request("POST", "contractdefinitions", {"@id": "offer", **definition})

    def find_offer(self, provider: Any) -> Offered:
        """Return the offer of the asset from the provider's catalog."""
        asked = {"counterPartyAddress": provider.dsp, "counterPartyId": provider.participant}
        asked |= {"protocol": stock.PROTOCOL}
        deadline_s = time.monotonic() + 30
        while True:
            catalog = self._stock.request("POST", "catalog/request", {"@type": "CatalogRequest", **asked})
            if datasets := catalog.get("dataset"):
                break
            if time.monotonic() > deadline_s:
                raise SystemExit(f"{provider.name}'s catalog stays empty: {catalog}")
            time.sleep(0.2)
        offer = next(each for each in datasets if each["@id"] == "asset")["hasPolicy"][0]
        rule = offer["permission"][0]["constraint"][0]
        constraint = [{**rule, "leftOperand": EDC + rule["leftOperand"]}]
        return {
            **offer,
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "permission": [{"action": "use", "constraint": constraint}],
            "target": "asset",
            "assigner": provider.participant,
        }

    ended_sql = "SELECT id, state = 1200 FROM edc_contract_negotiation WHERE state IN (1200, 1400)"
    """EDC keeps FINALIZED as 1200 and TERMINATED as 1400."""
    counts_sql = "SELECT count(*) FILTER (WHERE state = 1200), 0 FROM edc_contract_negotiation"
