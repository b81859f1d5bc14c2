"""A checkpoint: the signed head of a log, as a note that anybody can keep (C2SP tlog-checkpoint, signed-note).

Our published ES256 keys sign (signature type 0x02, DER; a key's id is from its SPKI form), so that an HSM's key does
too. Who has checked that a checkpoint goes on from those that it saw before puts a cosignature to it: the message of
C2SP tlog-cosignature, with an ECDSA key, for which the standard has no type yet (docs/decisions/0020).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec import Struct

from comity import errors
from comity.evidence import tree
from comity.evidence.entry import BrokenChainError
from comity.identity import jose

MAX_CHARACTERS: Final = 32 * 1024
MAX_SIGNATURES: Final = 64
COSIGNATURE: Final = b"\xffcomity ECDSA P-256 cosignature/v1"
"""The signature type of a cosignature: 0xff and a name, since ECDSA has no byte for it."""
_DASH: Final = "— "
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_LOG = re.compile(rf"({_SIZE.pattern})(/({_SIZE.pattern}))?")
_ID_BYTES: Final = 4
_HALF: Final = jose.SIGNATURE_BYTES // 2
Jwk = Mapping[str, Any]
Row = tuple[int, bytes, bytes]


class CheckpointError(errors.ComityError):
    """A checkpoint, or a cosignature, cannot be read, or its signature does not hold."""

    code = "broken-checkpoint"


class UnknownKeyError(CheckpointError):
    """None of the keys that are known has signed it."""


class Checkpoint(Struct, frozen=True):
    """The head of a log: whose log, how many records, and the root of the tree over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Signature(Struct, frozen=True):
    """A signature line: the name of the key, its id, and the signature itself."""

    name: str
    key_id: bytes
    content: bytes

    def line(self) -> str:
        """Return it as a line."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.content).decode()}\n"


class Note(Struct, frozen=True):
    """A signed checkpoint as it was read."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]


def key_name(participant_id: str) -> str:
    """Return the name of a participant's keys: its id, without the characters that a name must not have."""
    return quote(participant_id, safe="!$%&'()*,-./:;=?@_~#[]")


def origin(participant_id: str, chain: int, restored_at: int = 0) -> str:
    """Return the name of a participant's log, of which each chain of the evidence is one.

    What was restored from a backup is no seamless continuation, and so a log of its own.
    """
    name = f"{key_name(participant_id)}/log/{chain}"
    return f"{name}/{restored_at}" if restored_at else name


def is_of(named: str, participant_id: str) -> bool:
    """Return whether a log is a participant's."""
    begin = f"{key_name(participant_id)}/log/"
    return named.startswith(begin) and _LOG.fullmatch(named[len(begin) :]) is not None


def chain_of(named: str) -> int:
    """Return which chain of its participant's evidence a log is (of an origin that `is_of` takes)."""
    return int(named.rpartition("/log/")[2].partition("/")[0])


def sign(checkpoint: Checkpoint, key: jose.SigningKey) -> str:
    """Return a checkpoint as a note signed with a key of ours."""
    text = checkpoint.text()
    key_id = _key_id(key.public_jwk())
    signed = Signature(checkpoint.origin, key_id, _der(key.signature(text.encode())))
    return f"{text}\n{signed.line()}"


def parse(note: str) -> Note:
    """Read a signed checkpoint.

    Raises:
        CheckpointError: it is none.
    """
    text, gap, lines = note.rpartition("\n\n")
    if len(note) > MAX_CHARACTERS or not gap or not note.endswith("\n"):
        raise CheckpointError("this is no signed checkpoint: a text, an empty line and signatures are needed")
    if any(character < " " and character != "\n" for character in note):
        raise CheckpointError("the checkpoint has a control character")
    signatures = tuple(read_line(each) for each in lines.splitlines(keepends=True))
    if not 0 < len(signatures) <= MAX_SIGNATURES:
        raise CheckpointError(
            f"the checkpoint has {len(signatures)} signatures; 1 to {MAX_SIGNATURES} are taken"
        )
    return Note(_parse_text(text), signatures)


def _parse_text(text: str) -> Checkpoint:
    parts = text.split("\n")
    if len(parts) != 3 or not parts[0] or not _SIZE.fullmatch(parts[1]):  # noqa: PLR2004  no extension lines
        raise CheckpointError("the checkpoint must have three lines: origin, size and root")
    root = _decode(parts[2])
    if len(root) != len(tree.EMPTY):
        raise CheckpointError("the root of the checkpoint is no SHA-256")
    return Checkpoint(parts[0], int(parts[1]), root)


def read_line(line: str) -> Signature:
    """Read a signature line.

    Raises:
        CheckpointError: it is none.
    """
    name, space, content = line.removeprefix(_DASH).removesuffix("\n").partition(" ")
    if not line.startswith(_DASH) or not line.endswith("\n") or not name or not space or "+" in name:
        raise CheckpointError("a signature line of the checkpoint cannot be read")
    data = _decode(content)
    if len(data) <= _ID_BYTES:
        raise CheckpointError("a signature line of the checkpoint is too short")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _decode(text: str) -> bytes:
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise CheckpointError("the checkpoint has something that is not base64")
    return data


def check(note: Note, keys: Iterable[Jwk], name: str = "") -> Jwk:
    """Return which of its log's keys has signed a checkpoint; they have the log's name, or another one.

    Raises:
        UnknownKeyError: none of them.
        CheckpointError: a signature that names one of them does not hold.
    """
    known, name = _by_id(keys, _key_id), name or note.checkpoint.origin
    for each in note.signatures:
        for key in known.get(each.key_id, ()) if each.name == name else ():
            if not _holds(key, note.checkpoint.text().encode(), each.content):
                raise CheckpointError(
                    f"the checkpoint {note.checkpoint.origin} has a signature that does not hold"
                )
            return key
    raise UnknownKeyError(f"no key that is known signed the checkpoint of {note.checkpoint.origin}")


def watch(rows: Iterable[Row], signed: Mapping[int, str], chain: int = 0) -> Iterator[Row]:
    """Let the rows of a chain go by, and check the checkpoints that were made of it, by their sizes.

    Raises:
        BrokenChainError: names the row up to which they are not those that were signed.
    """
    growing, last = tree.Growing(), 0
    for seq, record, hashed in rows:
        yield seq, record, hashed
        growing.add(tree.leaf(record))
        last = growing.size
        if last in signed and parse(signed[last]).checkpoint.root != growing.root():
            raise BrokenChainError(seq, "or one before it is not what was signed in a checkpoint", chain)
    if max(signed, default=0) > last:
        raise BrokenChainError(last + 1, f"is missing: a checkpoint of {max(signed)} was signed", chain)


def cosign(checkpoint: Checkpoint, name: str, key: jose.SigningKey, *, time_s: int) -> str:
    """Return our cosignature line: `name` saw this as the last head of a log that goes on from all that it saw."""
    signature = _der(key.signature(_cosigned(checkpoint, time_s)))
    key_id = _cosigning_id(name)(key.public_jwk())
    return Signature(name, key_id, time_s.to_bytes(8, "big") + signature).line()


def check_cosignature(checkpoint: Checkpoint, line: str, name: str, keys: Iterable[Jwk]) -> int:
    """Return when `name`, whose keys these are, cosigned a checkpoint (s since 1970, by its clock).

    Raises:
        UnknownKeyError: none of these keys has.
        CheckpointError: the signature does not hold.
    """
    found = read_line(line)
    for key in _by_id(keys, _cosigning_id(name)).get(found.key_id, ()) if found.name == name else ():
        time_s = int.from_bytes(found.content[:8], "big")
        if not _holds(key, _cosigned(checkpoint, time_s), found.content[8:]):
            raise CheckpointError(f"the cosignature of {name} does not hold")
        return time_s
    raise UnknownKeyError(f"no key that is known of {name} has cosigned the checkpoint")


def _cosigned(checkpoint: Checkpoint, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{checkpoint.text()}".encode()


def _by_id(keys: Iterable[Jwk], name: Any) -> dict[bytes, list[Jwk]]:
    found: dict[bytes, list[Jwk]] = {}
    for each in keys:
        if each.get("crv") == "P-256":
            found.setdefault(name(each), []).append(each)
    return found


def _spki(jwk: Jwk) -> bytes:
    public: Any = jose.public_key(jwk).key.get_op_key("verify")
    data: bytes = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


def _key_id(jwk: Jwk) -> bytes:
    return sha256(_spki(jwk)).digest()[:_ID_BYTES]


def _cosigning_id(name: str) -> Any:
    return lambda jwk: sha256(name.encode() + b"\n" + COSIGNATURE + _spki(jwk)).digest()[:_ID_BYTES]


def _der(signature: bytes) -> bytes:
    return encode_dss_signature(
        int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    )


def _holds(key: Jwk, message: bytes, der: bytes) -> bool:
    try:
        r, s = decode_dss_signature(der)
        raw = r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    except (ValueError, OverflowError):
        return False
    return jose.public_key(key).holds(message, raw)
