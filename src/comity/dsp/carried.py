"""What lies on a medium that is carried from one connector to another: notices with their tokens, and packages.

There is no line, so nothing is answered: each notice stands beside a token that its sender signed over its exact bytes
(as over the line, `identity.token`), and is taken once by its `@id`. The transfer that a package belongs to has ids
that both sides know beforehand: the consumer's follows from the provider's, so that a medium taken twice is one
transfer.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from comity import errors, strict_json
from comity.dsp import codec, messages
from comity.dsp.receipt import Count, Digest

Document = dict[str, Any]
PACKAGE: Final = "comity:CarriedPackageNotice"
CODE_BYTES: Final = 16
_GROUP: Final = 4
_MOST: Final = 100
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Message(Struct, frozen=True):
    """A notice, as the text whose bytes were signed, and the token over it (a compact JWS)."""

    notice: Annotated[str, Meta(max_length=1024 * 1024)]
    token: Annotated[str, Meta(max_length=8192)]


class Letter(Struct, frozen=True):
    """What comes with a package: its own notice, the notices about its revisions, and its seal (empty for none)."""

    package: Message
    notices: Annotated[list[Message], Meta(max_length=_MOST)] = []
    seal: Annotated[str, Meta(max_length=8192)] = ""


class Receipts(Struct, frozen=True):
    """The receipts that go back."""

    notices: Annotated[list[Message], Meta(max_length=_MOST)] = []


class Package(Struct, frozen=True, kw_only=True):
    """The members of the notice of a package: which agreement it is under, word for word, and what it is.

    `revision` is 0 for what has no number. `beside` are the transfers (provider's ids) whose packages for the same
    consumer were on the medium when it was written.
    """

    type: str = field(name="@type", default=PACKAGE)
    agreement_id: messages.Pid = field(name="agreementId")
    agreement: Document
    provider_pid: messages.Pid = field(name="providerPid")
    consumer_pid: messages.Pid = field(name="consumerPid")
    asset_id: messages.Pid = field(name="assetId")
    revision: Annotated[int, Meta(ge=0, le=2**31)] = field(default=0, name="comity:revision")
    manifest_sha256: Digest = field(name="comity:manifestSha256")
    manifest_bytes: Count = field(name="comity:manifestBytes")
    files: Count = field(name="comity:files")
    size_bytes: Count = field(name="dcat:byteSize")
    time: Annotated[str, Meta(max_length=64)] = field(name="comity:time")
    beside: Annotated[list[messages.Pid], Meta(max_length=10_000)] = field(
        default_factory=list, name="comity:beside"
    )

    def document(self) -> Document:
        """Return it as a notice."""
        return dict(msgspec.to_builtins(self))


def read_package(document: Document) -> Package:
    """Return the notice of a package.

    Raises:
        InvalidInputError: it is none, with the place.
    """
    if document.get("@type") != PACKAGE:
        raise errors.InvalidInputError("this is no notice of a package that is carried", path="$.@type")
    return codec.convert(document, Package)


def consumer_pid(provider_id: str, provider_pid: str, consumer_id: str) -> str:
    """Return the consumer's id of a carried transfer, as both sides make it."""
    text = strict_json.canonical(["comity:Carry", provider_id, provider_pid, consumer_id])
    digest = bytearray(hashlib.sha256(text).digest()[:16])
    digest[6], digest[8] = 0x80 | digest[6] & 0x0F, 0x80 | digest[8] & 0x3F  # RFC 9562, version 8
    plain = digest.hex()
    return f"urn:uuid:{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"


def agreement_digest(document: Document) -> str:
    """Return the SHA-256 (hex) of an agreement, however its members are ordered."""
    return strict_json.digest(document).hex()


def show_code(secret: bytes) -> str:
    """Write a secret as people pass it on: groups of four letters and digits."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def read_code(text: str) -> bytes:
    """Return the secret of a code, however it was typed.

    Raises:
        InvalidInputError: it is no code.
    """
    plain = "".join(char for char in text.upper() if char not in "- \t").replace("0", "O").replace("1", "I")
    wanted = -(-CODE_BYTES * 8 // 5)
    if len(plain) != wanted or any(char not in _ALPHABET for char in plain):
        raise errors.InvalidInputError(
            f"a code has {wanted} letters and digits from 2 to 7, and this has {len(plain)}", path="$.code"
        )
    return base64.b32decode(plain + "=" * (-len(plain) % 8))
