"""What every use case is handed: who we are, the store, the clock, and what may be replaced.

Everything in it is a value or a protocol, so that tests hand over what they like; only `runtime` makes a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from comity.controlplane.authenticate import Caller
from comity.controlplane.decide import Decisions
from comity.controlplane.halt import Halt
from comity.controlplane.held import Held
from comity.controlplane.limits import Limits
from comity.controlplane.news import News
from comity.controlplane.openings import Openings
from comity.controlplane.publishing import UnderWay
from comity.controlplane.sharing import SharedKeys
from comity.controlplane.signing import Attempt
from comity.dataplane.flows import Flows
from comity.dataplane.looked import Looked
from comity.dataplane.remote import Remote
from comity.dataplane.speeds import Speeds
from comity.db.public_keys import PublicKey
from comity.db.seal import Seal
from comity.db.store import Store
from comity.dsp.version import Entry
from comity.identity.http_signature import Fields
from comity.storage import kept
from comity.storage.file import Files
from comity.storage.http import HttpSource
from comity.storage.keys import KeyFiles
from comity.storage.objects import Objects

LOST_TOLD_MS = 24 * 3600 * 1000


class Identity(Protocol):
    """Proves who we are to a partner, and who a partner is; see `trust`."""

    def authorization(self, audience: str, body: bytes, *, token: str | None = None) -> str:
        """Return the value of the Authorization header for a request with `body` to the participant `audience`.

        `token` is another one that it is to speak for: the data token that is to be replaced.
        """

    def attempt(self, audience: str, method: str, url: str, body: bytes) -> Attempt:
        """Return a request of the protocol to the participant `audience`, with what proves that it is ours."""

    @property
    def sealer(self) -> str:
        """Who seals what we publish, empty where nothing would prove it."""

    def seal(self, data: bytes) -> str:
        """Return our seal over a manifest's bytes, empty where there is none."""

    async def check_seal(self, text: str, data: bytes, *, carried: bool = False) -> PublicKey | None:
        """Return the key of a seal over a manifest's bytes, None where nothing proves whose it is; or raise."""

    async def carried(self, token: str, body: bytes) -> Caller:
        """Return who wrote a message that came on a medium with a token over it, or raise IdentityError."""

    async def admit(self, authorization: str | None) -> None:
        """Raise IdentityError unless the header is a partner's, before the body that it may be bound to is read."""

    async def caller(
        self, authorization: str | None, method: str, path: str, body: bytes, target: str, found: Fields
    ) -> Caller:
        """Return who sent a request, or raise IdentityError; `target` is its address as `found` may sign it."""


class Peers(Protocol):
    """Requests to a partner that are answered at once (catalog, state); messages go through the outbox."""

    async def get(self, url: str, proof: Attempt) -> bytes:
        """Return the body of a 2xx answer."""

    async def post_page(self, url: str, body: bytes, proof: Attempt) -> tuple[bytes, str | None]:
        """Return the body of a 2xx answer and the address of the next page, if any."""

    async def post_form(self, url: str, body: bytes, authorization: str) -> bytes:
        """Send a form (`application/x-www-form-urlencoded`) and return the body of a 2xx answer."""

    async def version(self, root: str) -> str:
        """Return the path, below `root`, of the version that both sides speak."""

    async def versions(self, root: str) -> list[Entry]:
        """Return the versions that the connector at `root` says it speaks."""


class Resolver(Protocol):
    """Fetches DID documents."""

    async def document(self, did: str) -> dict[str, Any]:
        """Return the document of a DID, fetched now."""

    def forget(self, did: str) -> None:
        """Drop what is cached of a DID."""


class Egress(Protocol):
    """Says which addresses may be connected to."""

    def check_url(self, url: str) -> Any:
        """Raise PermanentDeliveryError for an address that is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """The parts that use cases work with; `runtime` puts them together, tests replace them.

    `dsp_address` is our base and callback address, `data_address` the address below which data is served. `deaf` says
    since when (ms) a partner is known to take no notices; what one says of a framework agreement counts for
    `framework_lease_ms`, and signatories' certificates lead to `framework_roots` (PEM).
    """

    participant_id: str
    dsp_address: str
    data_address: str
    database: Store
    seal: Seal
    identity: Identity
    peers: Peers
    resolver: Resolver
    egress: Egress
    signing_keys: KeyFiles
    files: Files
    kept: kept.Folder
    back_end: HttpSource
    objects: Objects
    remote: Remote
    decisions: Decisions
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    new_token: Callable[[], str]
    news: News = field(default_factory=News)
    limits: Limits = field(default_factory=Limits)
    speeds: Speeds = field(default_factory=Speeds)
    held: Held = field(default_factory=Held)
    halt: Halt = field(default_factory=Halt)
    looked: Looked = field(default_factory=Looked)
    readers: Flows = field(default_factory=Flows)
    """Streams of our own people that are open now."""
    publishing: UnderWay = field(default_factory=UnderWay)
    shared_keys: SharedKeys | None = None
    places: tuple[str, ...] = ()
    """Where what is received lies, by the operator's word."""
    deaf: dict[str, int] = field(default_factory=dict)
    openings: Openings = field(default_factory=Openings)
    lost: Openings = field(default_factory=lambda: Openings(kept_ms=LOST_TOLD_MS))
    shred_after_ms: int = 7 * 24 * 3600 * 1000
    """How long what is locked for good is kept before its keys are destroyed."""
    framework_lease_ms: int = 24 * 3600 * 1000
    framework_roots: bytes = b""
    stamp_roots: bytes = b""
    """Certificates (PEM) of the authority that stamps our checkpoints; empty if none does."""

    @property
    def inbox_address(self) -> str:
        """The address below which pushes to us are received."""
        return self.data_address.removesuffix("/data") + "/inbox"
