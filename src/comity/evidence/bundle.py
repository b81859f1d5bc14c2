"""The form of an evidence bundle: one file with all that one side holds of an agreement, for a third party to check.

It is canonical JSON, so that there is one way to write it and every byte counts. Each part of it (`PARTS`, and each
member of those that are lists) is bound by a signature, a hash or a comparison, which `proving` makes; and all of
them by the seal of who exported it (`sealing`). What each member means: docs/reference/evidence-bundle.md.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from comity import errors, strict_json
from comity.evidence.place import misplaced, path_at
from comity.identity import jose

TYPE: Final = "comity:EvidenceBundle"
MAX_BYTES: Final = 1 << 28
_BYTE = re.compile(r"\(byte (\d+)\)")
_BETWEEN: Final = 20

Document = dict[str, Any]
Name = Annotated[str, Meta(min_length=1, max_length=4096)]
Moment = Annotated[int, Meta(ge=0, le=2**53)]
T = TypeVar("T", bound=Struct)


class BundleError(errors.ComityError):
    """A bundle does not hold; `path` is the place of the first thing that does not."""

    code = "broken-evidence"

    def __init__(self, message: str, path: str) -> None:
        super().__init__(
            message, hint="ask who gave it to you for it again, or the other party for its own bundle"
        )
        self.path = path


class Where(Struct, frozen=True):
    """A place in a bundle: in words, and as a path."""

    what: str
    path: str

    def error(self, said: str, member: str = "") -> BundleError:
        """Return the error for this place, or for a member of it (`.note`); `said` goes on after the words."""
        return BundleError(self.what + said, self.path + member)

    def of(self, what: str, member: str) -> Where:
        """Return a place inside this one."""
        return Where(self.what + what, self.path + member)


class Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What all parts of a bundle have in common: no member that is not known here."""


class Head(Part, frozen=True, kw_only=True):
    """Who exported the bundle, whose other side it is about, and when it was made by the exporter's clock (ms)."""

    exporter: Name
    partner: Name
    exported_at: Moment


class Agreed(Part, frozen=True, kw_only=True):
    """The agreement and the last offer before it, as the exporter keeps them."""

    id: Name
    negotiation_id: Name
    document: Document
    offer: Document
    created_at: Moment
    finalized: bool


class Subject(Part, frozen=True, kw_only=True):
    """Something that records of the bundle are about: a negotiation, a transfer, an agreement, a framework."""

    id: Name
    kind: Literal["negotiation", "transfer", "agreement", "framework"]
    counterparty_pid: str = ""
    agreement_id: str = ""
    state: str = ""


class PublicKey(Part, frozen=True, kw_only=True):
    """A public key as it was published when it signed; `seen_at` is when the exporter saw it first (ms)."""

    participant_id: Name
    kid: Name
    jwk: Document
    seen_at: Moment


class Signatory(Part, frozen=True, kw_only=True):
    """A file with the signature of a person who signs a framework agreement for a party."""

    party: str
    media_type: str
    content: str


class Framework(Part, frozen=True, kw_only=True):
    """A framework agreement that the agreement stands under: its name, which holds its hash, and its document.

    It was signed by an agreement of its own, in a negotiation; both are empty if that was not between these two.
    """

    urn: Name
    document: Document
    agreement_id: str = ""
    negotiation_id: str = ""
    signatures: list[Signatory] = field(default_factory=list)


class Bundle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle as it is read: its parts not looked into yet."""

    type: Literal["comity:EvidenceBundle"]
    version: Literal[1]
    head: Raw
    agreement: Raw
    subjects: list[Raw]
    keys: list[Raw]
    checkpoints: list[Raw]
    records: list[Raw]
    frameworks: list[Raw]
    terms: list[Raw]
    authorities: list[Raw]
    seal: str


PARTS: Final = (
    "head",
    "agreement",
    "subjects",
    "keys",
    "authorities",
    "checkpoints",
    "records",
    "frameworks",
    "terms",
)


def read(data: bytes) -> Bundle:
    """Return the bundle in the bytes of a file.

    Raises:
        BundleError: it is none, or not written in the one way.
    """
    if len(data) > MAX_BYTES:
        raise BundleError(f"the file has more than {MAX_BYTES >> 20} MiB: it is no bundle", "$")
    try:
        data.decode()  # as a whole: an error inside a text would tell the place in that text
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(data, error) from None
    bundle = take(data, Bundle, Where("the bundle", "$"))
    written = strict_json.canonical(value)
    if written != data:
        raise _otherwise(data, written)
    return bundle


def _otherwise(data: bytes, written: bytes) -> BundleError:
    """Return the error for JSON that is written in another way than the one."""
    order = misplaced(data)
    at = order[0] if order else _first_difference(written, data)
    path = path_at(data, at)
    why = f"{order[1]!r} stands behind {order[2]!r}" if order else _around(data, at)
    return BundleError(f"byte {at:,} (in {path}) is not as canonical JSON has it: {why}", path)


def _unreadable(data: bytes, error: Exception) -> BundleError:
    found = _BYTE.search(str(error))
    at = min(int(found[1]), len(data)) if found else len(data)
    if isinstance(error, UnicodeDecodeError):
        at = error.start
    path = path_at(data, at)
    why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).partition(" (byte")[0]
    return BundleError(
        f"the file cannot be read at byte {at:,} (in {path}): {why}: {_around(data, at)}", path
    )


def _first_difference(one: bytes, other: bytes) -> int:
    """Return the first place where two texts differ, by halves."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _around(data: bytes, at: int) -> str:
    return repr(data[max(0, at - _BETWEEN) : at + _BETWEEN].decode(errors="replace"))


def take(raw: Raw | bytes, kind: type[T], where: Where) -> T:
    """Return a part of a bundle as a value.

    Raises:
        BundleError: a member is missing, is not known here, or is of another kind.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        said, _, inner = str(error).partition(" - at `")
        member = inner.rstrip("`").removeprefix("$")
        raise where.error(
            f" is not of the form of a bundle: {said} (at {where.path}{member})", member
        ) from None


def unpacked(text: str, where: Where) -> bytes:
    """Return the bytes that a text stands for, in base64url without padding.

    Raises:
        BundleError: it is not written in the one way.
    """
    try:
        return jose.decode_segment(text.encode("ascii"))
    except ValueError as error:
        raise where.error(f" is not base64url: {error}") from None


def packed(data: bytes) -> str:
    """Return bytes as a text, in base64url without padding."""
    return jose.encode_segment(data).decode()
