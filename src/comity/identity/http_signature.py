"""HTTP Message Signatures (RFC 9421) over the protocol's messages and their answers: one profile, by the tag `comity`.

A request is signed in its method, the address it goes to and the digest of its content (RFC 9530); an answer in its
status and its content, and in these three of the request, so that whoever answers signs what was asked too. A record of
the evidence has all of that: a signature can be checked years later with the record and the public key alone.
Signatures of anybody else, by other tags, are not ours to judge. Why so: docs/decisions/0019.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from comity import errors
from comity.identity import jose

TAG: Final = "comity"
REQUEST: Final = '("@method" "@target-uri" "content-digest")'
REPLY: Final = '("@status" "content-digest" "@method";req "@target-uri";req "content-digest";req)'
REPLY_TO_UNSIGNED: Final = '("@status" "content-digest" "@method";req "@target-uri";req)'
"""What is covered: of a request; of its answer; of the answer to one without a signature, which may have no digest."""
MAX_AGE_S: Final = 600
LEEWAY_S: Final = 90
MAX_HEADER: Final = 8192
ALGORITHMS: Final = {"ecdsa-p256-sha256": "ES256", "ed25519": "Ed25519"}
_OURS: Final = f'tag="{TAG}"'
_ALONE: Final = f"{TAG}=("
_TEXT = r'"(?:[^"\\]|\\.)*"'
_MEMBER = re.compile(rf'[ \t]*+([a-z*][a-z0-9_.*-]*+)(?:=((?:{_TEXT}|[^",])*+))?[ \t]*+(?:,|\Z)')
"""Nothing is read twice: a field that is made for it would else take half a second."""
_PARAMETER = r';([a-z*][a-z0-9_.*-]*)=("[^"\\]*"|[0-9]{1,15})'
_INPUT = re.compile(rf"(\([^()]*\))((?:{_PARAMETER})*)")
_EACH = re.compile(_PARAMETER)
_NAMES: Final = frozenset({"created", "keyid", "alg", "tag"})
STEP: Final = "message-signature"


class Fields(Struct, frozen=True):
    """The header fields of a message, each as one text (RFC 9110, section 5.3); empty where there is none."""

    content_digest: str = ""
    signature_input: str = ""
    signature: str = ""


class Signature(Struct, frozen=True):
    """A signature of this profile: its member of Signature-Input as it was written, what that says, and 64 bytes."""

    parameters: str
    covered: str
    created: int
    keyid: str
    algorithm: str
    value: bytes

    @property
    def text(self) -> str:
        """The bytes in base64."""
        return _base64(self.value)


def target_uri(url: str) -> str:
    """Return a URL as it is covered: scheme and host in small letters, no default port (RFC 9110, section 4.2.3)."""
    at = url.find("/", url.find("://") + 3)
    return _origin(url) + "/" if at < 0 else _origin(url[:at]) + url[at:]


@lru_cache(maxsize=1024)
def _origin(address: str) -> str:
    scheme, _, host = address.lower().partition("://")
    return f"{scheme}://{host.removesuffix({'https': ':443', 'http': ':80'}.get(scheme, '?'))}"


@lru_cache(maxsize=1024)
def content_digest(sha256_hex: str) -> str:
    """Return the field Content-Digest for a content with this digest."""
    return f"sha-256=:{_base64(bytes.fromhex(sha256_hex))}:"


def request_lines(method: str, target: str, sha256: str) -> str:
    """Return the signature base of a request up to the parameters; `sha256` (hex) is its content's."""
    return (
        f'"@method": {method}\n"@target-uri": {target}\n"content-digest": {content_digest(sha256)}\n'
        '"@signature-params": '
    )


def reply_lines(  # noqa: PLR0913, PLR0917  what is covered
    status: int, sha256: str, method: str, target: str, request_sha256: str, covered: str = REPLY
) -> str:
    """Return the signature base of an answer up to the parameters."""
    lines = (
        f'"@status": {status}\n"content-digest": {content_digest(sha256)}\n'
        f'"@method";req: {method}\n"@target-uri";req: {target}\n'
    )
    if covered == REPLY:
        lines += f'"content-digest";req: {content_digest(request_sha256)}\n'
    return lines + '"@signature-params": '


def sign(key: jose.SigningKey, keyid: str, covered: str, lines: str, *, created: int) -> Signature:
    """Return our signature; `keyid` is the whole id of the key."""
    parameters = f'{covered};created={created};keyid="{keyid}";alg="ecdsa-p256-sha256";{_OURS}'
    value = key.signature((lines + parameters).encode())
    return Signature(parameters, covered, created, keyid, "ecdsa-p256-sha256", value)


def fields(signature: Signature, sha256: str) -> dict[str, str]:
    """Return the header fields of a message that is signed; `sha256` (hex) is its content's."""
    return {
        "Content-Digest": content_digest(sha256),
        "Signature-Input": f"{TAG}={signature.parameters}",
        "Signature": f"{TAG}=:{signature.text}:",
    }


def read(found: Fields) -> Signature | None:
    """Return the signature of this profile among those of a message, None if there is none.

    Raises:
        IdentityError: there are two, or it is not written as the profile asks.
    """
    if _OURS not in found.signature_input:
        return None
    if max(len(found.signature_input), len(found.signature)) > MAX_HEADER:
        raise refusal(f"Signature-Input and Signature may have {MAX_HEADER} characters each")
    if found.signature_input.startswith(_ALONE) and "," not in found.signature_input + found.signature:
        return _parsed(found.signature_input.removeprefix(f"{TAG}="), found.signature.removeprefix(f"{TAG}="))
    inputs = _members(found.signature_input, "Signature-Input")
    ours = [label for label, value in inputs.items() if _OURS in value]
    if len(ours) != 1:
        raise refusal(f"there must be one signature with the tag {TAG}, not {len(ours)}")
    return _parsed(inputs[ours[0]], _members(found.signature, "Signature").get(ours[0], ""))


def _parsed(parameters: str, value: str) -> Signature:
    try:
        return parse(parameters, value[1:-1] if value[:1] == value[-1:] == ":" else "")
    except ValueError as error:
        raise refusal(str(error)) from None


def parse(parameters: str, value: str) -> Signature:
    """Read a member of Signature-Input and the base64 of its signature.

    Raises:
        ValueError: it is not as this profile has it.
    """
    covered, created, keyid, algorithm = _parameters(parameters)
    try:
        decoded = binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
    except ValueError:
        decoded = b""
    if len(decoded) != jose.SIGNATURE_BYTES or _base64(decoded) != value:
        raise ValueError("Signature must be 64 bytes in base64 between colons")
    return Signature(parameters, covered, created, keyid, algorithm, decoded)


@lru_cache(maxsize=1024)
def _parameters(text: str) -> tuple[str, int, str, str]:
    """Read a member of Signature-Input, which is the same for all that a key signs in a second."""
    match = _INPUT.fullmatch(text)
    said = _EACH.findall(match[2]) if match else []
    named = {name: value.strip('"') for name, value in said}
    if match is None or len(said) != len(named) or named.keys() != _NAMES or not named["created"].isdigit():
        raise ValueError("Signature-Input must have the parameters created, keyid, alg and tag, each once")
    if named["tag"] != TAG:
        raise ValueError(f"the tag of the signature is not {TAG}")
    return match[1], int(named["created"]), named["keyid"], named["alg"]


def _members(text: str, field: str) -> dict[str, str]:
    """Return the members of a dictionary (RFC 9651, section 3.2), their values as they are written."""
    members: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _MEMBER.match(text, at)
        if match is None or match[1] in members:
            raise refusal(f"{field} is not a dictionary with each member once")
        members[match[1]] = (match[2] or "").strip(" \t")
        at = match.end()
    return members


def check_digest(found: Fields, sha256: str) -> None:
    """Check that Content-Digest is that of the content which came.

    Raises:
        IdentityError: it is not.
    """
    if found.content_digest.strip() != content_digest(sha256):
        raise refusal("Content-Digest is not sha-256 of the content as it came, and nothing else")


def check_signer(signature: Signature, participant_id: str) -> None:
    """Check that a signature names a key of a participant.

    Raises:
        IdentityError: it does not.
    """
    if signature.keyid.partition("#")[0] != participant_id:
        raise refusal(f"it is by {signature.keyid[:200]}, which is no key of {participant_id[:200]}")


def check(signature: Signature, lines: str, *, keys: Mapping[str, jose.PublicKey], now_s: int) -> None:
    """Check a signature over a message that is here now; `keys` are those of its sender, by their whole ids.

    Raises:
        IdentityError: the sentence says what does not hold.
    """
    key = keys.get(signature.keyid)
    if key is None:
        raise refusal(f"{signature.keyid[:200]} is not a key that may be used here")
    if not now_s - MAX_AGE_S - LEEWAY_S <= signature.created <= now_s + LEEWAY_S:
        raise refusal(f"it was created {now_s - signature.created} s ago by its own word: check the clocks")
    if not holds(signature, lines, key):
        raise refusal(
            f"it is not one of {signature.keyid[:200]} over method, address and content as they came"
        )


def holds(signature: Signature, lines: str, key: jose.PublicKey) -> bool:
    """Say whether a signature is this key's over a base."""
    return ALGORITHMS.get(signature.algorithm) in key.algorithms and key.holds(
        (lines + signature.parameters).encode(), signature.value
    )


def refusal(why: str) -> errors.IdentityError:
    """Return the error for a signature that is there and does not hold."""
    return errors.IdentityError(
        f"the message's signature does not hold: {why}",
        step=STEP,
        hint="sign as docs/reference/message-signatures.md says, or not at all",
    )


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
