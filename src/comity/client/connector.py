"""The management API of a connector as methods: JSON in, JSON out, `comity.errors` for what goes wrong.

Synchronous, with the standard library's HTTP client: one connection for each request, no redirects, no proxies from
the environment, no repeats. What a document holds is the API's business (`/management/v3`, EDC's payloads).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from comity import errors
from comity.client import problems

Document = dict[str, Any]

NEGOTIATIONS = "contractnegotiations"
AGREEMENTS = "contractagreements"
TRANSFERS = "transferprocesses"
_SORTED_BY = {AGREEMENTS: "contractSigningDate"}

PROTOCOL = "dataspace-protocol-http:2025-1"
PAGE = 1000
TIMEOUT_S = 60.0
PARTNER_TIMEOUT_S = 600.0
"""For what the connector asks of a partner before it answers: many pages, each with a time limit of its own."""
_REDIRECT, _REFUSED = 300, 400


class Connector:
    """A connector, reached at its management API such as `http://127.0.0.1:8281`; `start_with` is for a hint."""

    def __init__(
        self, address: str, api_key: str, *, timeout_s: float = TIMEOUT_S, start_with: str = "comity serve"
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise errors.SettingsError(f"{address!r} is no address of a management API: http://host:port is")
        self.address = address.rstrip("/")
        self._parts = parts
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._start_with = start_with

    def request(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        """Send one request below `/management/v3/` and return the JSON of its answer, None when it has none.

        Raises:
            UnreachableError: nobody answers there, or not in `timeout_s`, or something that is no connector.
            ComityError: what the connector answered.
        """
        sent = json.dumps(body, allow_nan=False).encode() if body is not None else None
        status, answer = self._exchange(method, path, sent, timeout_s or self._timeout_s)
        if status >= _REFUSED:
            raise problems.read(status, answer, address=self.address)
        if not answer:
            return None
        try:
            value = json.loads(answer)
        except (ValueError, RecursionError):
            value = None
        if value is None or status >= _REDIRECT:
            raise problems.read(status, b"", address=self.address)
        return value

    def _exchange(self, method: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        headers = {"X-Api-Key": self._api_key, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection(timeout_s)
        try:
            connection.request(method, f"{self._parts.path.rstrip('/')}/management/v3/{path}", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError:
            raise problems.UnreachableError(
                f"the connector at {self.address} did not answer within {timeout_s:g} s",
                hint="its log says what it is doing; what was asked may have happened",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    @contextlib.contextmanager
    def stream(
        self, path: str, headers: dict[str, str], *, timeout_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a GET below `/management/v3/` and hand over the answer while it comes; `timeout_s` limits each wait.

        Raises:
            UnreachableError: nobody answers there, or the connection broke.
            ComityError: what the connector answered.
        """
        connection = self._connection(timeout_s)
        sent = {"X-Api-Key": self._api_key, **headers}
        try:
            connection.request("GET", f"{self._parts.path.rstrip('/')}/management/v3/{path}", None, sent)
            response = connection.getresponse()
            if response.status >= _REDIRECT:
                raise problems.read(response.status, response.read(), address=self.address)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, self._parts.port, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(host, self._parts.port, timeout=timeout_s)

    def _unreachable(self, error: Exception) -> problems.UnreachableError:
        reason = (
            (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        )
        return problems.UnreachableError(
            f"the connector at {self.address} cannot be reached: {reason}",
            hint=f"start it with: {self._start_with}",
        )

    # Partners

    def partners(self) -> list[Document]:
        """Return every partner on the list."""
        listed: list[Document] = self.request("GET", "partners")
        return listed

    def add_partner(self, participant: str, **said: Any) -> Document:
        """Put a participant (DID or public address) on the list: see the form NewPartner."""
        body = {"participant": participant, **{name: value for name, value in said.items() if value}}
        added: Document = self.request("POST", "partners", body, timeout_s=PARTNER_TIMEOUT_S)
        return added

    def remove_partner(self, participant_id: str) -> None:
        """Take a participant off the list."""
        self.request("DELETE", f"partners/{_segment(participant_id)}")

    # API keys

    def api_keys(self) -> list[Document]:
        """Return every API key but that of the data folder."""
        listed: list[Document] = self.request("GET", "apikeys")
        return listed

    def add_api_key(self, name: str, role: str, *, expires_at: int | None = None) -> Document:
        """Make an API key (viewer, operator, admin), for good or until `expires_at` (ms); `key` is in the answer."""
        made: Document = self.request(
            "POST", "apikeys", {"name": name, "role": role, "expiresAt": expires_at}
        )
        return made

    def remove_api_key(self, name: str) -> None:
        """Remove an API key."""
        self.request("DELETE", f"apikeys/{_segment(name)}")

    # Offering and finding

    def publish(self, folder: str, *, timeout_s: float, **said: Any) -> Document:
        """Hash a folder and offer it: assetId, title, policy, accessPolicy, properties, replace."""
        body = {"folder": folder, **{name: value for name, value in said.items() if value}}
        published: Document = self.request("POST", "packages", body, timeout_s=timeout_s)
        return published

    def catalog(self, counterparty_id: str) -> Document:
        """Return a partner's catalog."""
        body = {"@type": "CatalogRequest", **_party(counterparty_id)}
        found: Document = self.request("POST", "catalog/request", body, timeout_s=PARTNER_TIMEOUT_S)
        return found

    def dataset(self, counterparty_id: str, asset_id: str) -> Document:
        """Return one dataset of a partner's catalog."""
        body = {"@type": "DatasetRequest", "@id": asset_id, **_party(counterparty_id)}
        found: Document = self.request("POST", "catalog/dataset/request", body, timeout_s=PARTNER_TIMEOUT_S)
        return found

    # Getting

    def start_exchange(  # noqa: PLR0913  what is wanted may be said in many words
        self,
        counterparty_id: str,
        asset_id: str,
        destination: str,
        *,
        offer_id: str = "",
        offer: Document | None = None,
        purpose: str = "",
    ) -> Document:
        """Have the connector get an asset into a folder, an absolute path; one that does so already is returned.

        `offer` is the one that was shown: it is taken by its terms where the partner has given it another id.
        `purpose` is what the data is for, which the partner is told.
        """
        body: Document = {
            "counterPartyId": counterparty_id,
            "assetId": asset_id,
            "destination": destination,
        }
        body |= {"offerId": offer_id} if offer_id else {}
        body |= {"policy": offer} if offer else {}
        body |= {"purpose": purpose} if purpose else {}
        started: Document = self.request("POST", "exchanges", body, timeout_s=PARTNER_TIMEOUT_S)
        return started

    def exchange(self, exchange_id: str) -> Document:
        """Return how far an exchange has come."""
        found: Document = self.request("GET", f"exchanges/{_segment(exchange_id)}")
        return found

    def exchanges(self) -> list[Document]:
        """Return how far the exchanges have come, the newest first."""
        return self.find("exchanges", limit=PAGE)

    # Framework agreements

    def frameworks(self) -> list[Document]:
        """Return all framework agreements."""
        listed: list[Document] = self.request("GET", "frameworks")
        return listed

    def framework(self, urn: str) -> Document:
        """Return a framework agreement."""
        found: Document = self.request("GET", f"frameworks/{_segment(urn)}")
        return found

    def propose_framework(self, document: Document, folder: str, *, timeout_s: float) -> Document:
        """Propose a framework agreement, whose texts are in a folder, to its parties."""
        body = {"document": document, "folder": folder}
        made: Document = self.request("POST", "frameworks", body, timeout_s=timeout_s)
        return made

    def offered_framework(self, counterparty_id: str, urn: str) -> Document:
        """Return a framework agreement that a partner offers."""
        body = {"counterPartyId": counterparty_id, "frameworkAgreement": urn}
        found: Document = self.request("POST", "frameworks/offered", body, timeout_s=PARTNER_TIMEOUT_S)
        return found

    def sign_framework(self, counterparty_id: str, urn: str, *, accede: bool) -> Document:
        """Ask a partner for the agreement that signs its framework agreement, and return the negotiation's id."""
        body = {"counterPartyId": counterparty_id, "frameworkAgreement": urn, "accede": accede}
        begun: Document = self.request("POST", "frameworks/sign", body, timeout_s=PARTNER_TIMEOUT_S)
        return begun

    def deliver(self, urn: str, commitment: str, quantity: str, evidence: str) -> Document:
        """Report what was delivered of a commitment of ours, and return the delivery's id."""
        body = {
            "frameworkAgreement": urn,
            "commitment": commitment,
            "quantity": quantity,
            "evidence": evidence,
        }
        made: Document = self.request("POST", "frameworks/deliveries", body)
        return made

    def change_framework(self, urn: str, change: str, **said: str) -> Any:
        """Do something to a framework agreement: suspend, resume, end, confirm, signatures."""
        return self.request("POST", f"frameworks/{_segment(urn)}/{change}", said)

    # Processes: `noun` is NEGOTIATIONS, AGREEMENTS or TRANSFERS

    def find(
        self, noun: str, *, limit: int, offset: int = 0, criteria: Sequence[Document] = ()
    ) -> list[Document]:
        """Return a page of processes, the newest first."""
        query = {
            "@type": "QuerySpec",
            "offset": offset,
            "limit": limit,
            "sortField": _SORTED_BY.get(noun, "createdAt"),
            "sortOrder": "DESC",
            "filterExpression": list(criteria),
        }
        found: list[Document] = self.request("POST", f"{noun}/request", query)
        return found

    def find_all(self, noun: str) -> list[Document]:
        """Return all processes, the newest first."""
        found: list[Document] = []
        while True:
            page = self.find(noun, limit=PAGE, offset=len(found))
            found += page
            if len(page) < PAGE:
                return found

    def load(self, noun: str, process_id: str) -> Document:
        """Return one process."""
        found: Document = self.request("GET", f"{noun}/{_segment(process_id)}")
        return found

    def move(self, noun: str, process_id: str, move: str, *, reason: str = "") -> None:
        """Make a person's move: accept, agree, verify, finalize, terminate; suspend, resume, complete."""
        self.request("POST", f"{noun}/{_segment(process_id)}/{move}", {"reason": reason} if reason else {})

    # Approvals

    def approvals(self, *, limit: int, waiting: bool) -> list[Document]:
        """Return what people are asked to approve, the newest first; or also what is over."""
        wanted = [{"operandLeft": "state", "operator": "=", "operandRight": "WAITING"}] if waiting else []
        return self.find("approvals", limit=limit, criteria=wanted)

    def settle_approval(self, approval_id: str, verb: str, *, reason: str = "") -> Document:
        """Approve or refuse, as the person whose API key this is, and return how it stands."""
        body = {"reason": reason} if reason else {}
        found: Document = self.request("POST", f"approvals/{_segment(approval_id)}/{verb}", body)
        return found

    # Receipts and deletions

    def deletions(self, *, limit: int, overdue: bool = False) -> list[Document]:
        """Return what is to be deleted, or was, the newest first; or only what is overdue."""
        wanted = [{"operandLeft": "state", "operator": "=", "operandRight": "OVERDUE"}] if overdue else []
        return self.find("deletions", limit=limit, criteria=wanted)

    def delete_received(self, kind: str, name: str, *, by_hand: bool = False) -> list[Document]:
        """Delete what was received; `kind` is transferId or agreementId, what `name` is the id of."""
        body = {kind: name, "byHand": by_hand}
        done: list[Document] = self.request("POST", "deletions", body, timeout_s=PARTNER_TIMEOUT_S)
        return done

    def receipts(self, transfer_id: str) -> list[Document]:
        """Return the receipts about a transfer, ours and its partner's."""
        wanted = [{"operandLeft": "transferId", "operator": "=", "operandRight": transfer_id}]
        return self.find("receipts", limit=PAGE, criteria=wanted)

    # Checkpoints

    def checkpoints(self, *, make: bool = False) -> Document:
        """Return our checkpoints, those of partners, and what was found out; `make` one of what is new before."""
        found: Document = self.request("POST" if make else "GET", "evidence/checkpoints")
        return found

    def compare_checkpoint(self, note: str) -> Document:
        """Compare a partner's checkpoint that somebody else was shown with those that we saw."""
        found: Document = self.request("POST", "evidence/compare", {"checkpoint": note})
        return found

    def acknowledge_finding(self, name: str) -> None:
        """Note that somebody has looked at a finding about a log."""
        self.request("POST", f"evidence/{quote(name, safe='')}/acknowledge")

    # Events

    def events(self, *, after: int, limit: int, process_id: str = "", types: Sequence[str] = ()) -> Document:
        """Return events after a place, the oldest first, with what to ask for next; see `client.events` to follow."""
        wanted = {"after": after, "limit": limit, "processId": process_id, "types": ",".join(types)}
        asked = urlencode({name: value for name, value in wanted.items() if value != ""})
        found: Document = self.request("GET", f"events?{asked}")
        return found

    # Identity

    def identity(self) -> Document:
        """Return who the connector is, and every key that proves or proved it."""
        found: Document = self.request("GET", "identity")
        return found

    def rotate_key(self, *, lead_s: int, grace_s: int) -> Document:
        """Have a new signing key published; it signs after `lead_s`, the old one stays `grace_s` longer."""
        body = {"leadSeconds": lead_s, "graceSeconds": grace_s}
        found: Document = self.request("POST", "identity/rotate", body)
        return found

    def retire_key(self, kid: str) -> None:
        """Take a key out of the DID document at once."""
        self.request("DELETE", f"identity/{_segment(kid)}")

    # Evidence

    def evidence(self, *, after: int, limit: int, chain: int = 0) -> Document:
        """Return the records of a chain of the evidence after a row, and the heads of all chains."""
        wanted = {"after": after, "limit": limit, **({"chain": chain} if chain else {})}
        found: Document = self.request("GET", f"evidence?{urlencode(wanted)}")
        return found

    def export_evidence(self, agreement_id: str) -> bytes:
        """Return what is held of an agreement as a bundle for a third party, byte for byte."""
        path = f"{AGREEMENTS}/{_segment(agreement_id)}/evidence"
        status, bundle = self._exchange("POST", path, None, PARTNER_TIMEOUT_S)
        if status >= _REDIRECT:
            raise problems.read(status, bundle, address=self.address)
        return bundle


def _party(counterparty_id: str) -> Document:
    return {"counterPartyId": counterparty_id, "counterPartyAddress": "", "protocol": PROTOCOL}


def _segment(name: str) -> str:
    return quote(name, safe="")
