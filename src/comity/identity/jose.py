"""Keys and signatures: ES256 to sign, ES256 and Ed25519 to verify (RFC 7515, 7518, 8037, 9864).

Sign and verify run several times a message, so key objects are made once and ES256 is called on them directly:
joserfc's compact functions parse and encode each header again (43 and 88 us against 16 and 42).
What a token must say is decided in `token` and `verify`; how long a key lives is the caller's part.
"""

from __future__ import annotations

import binascii
import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import errors as joserfc_errors
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry
from msgspec import Struct

from comity import errors

SIGNATURE_BYTES: Final = 64
_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")
_KID = re.compile(r"[!-~]{1,1024}")
_ed25519 = JWSRegistry(algorithms=["Ed25519"]).get_alg("Ed25519")
_ECDSA: Final = ECDSA(SHA256())
_HALF: Final = SIGNATURE_BYTES // 2
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN = bytes.maketrans(b"-_", b"+/")


class PublicKey(Struct, frozen=True):
    """A key that is ready to verify: made once by `public_key`, used for many tokens."""

    key: ECKey | OKPKey
    algorithms: frozenset[str]

    def holds(self, message: bytes, signature: bytes) -> bool:
        """Say whether `signature` (64 bytes) is this key's over `message`."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        public = self.key.public_key
        if not isinstance(public, EllipticCurvePublicKey):
            return _ed25519.verify(message, signature, self.key)
        r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
        try:
            public.verify(encode_dss_signature(r, s), message, _ECDSA)
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> dict[str, Any]:
        """Return the key itself, without any private member; `alg` is named where there is one only."""
        members: Mapping[str, Any] = self.key.as_dict(private=False)
        public: dict[str, Any] = {name: members[name] for name in ("kty", "crv", "x", "y") if name in members}
        return {**public, **({"alg": min(self.algorithms)} if len(self.algorithms) == 1 else {})}


def es256(private: EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the signature (64 bytes) of a private P-256 key over a message."""
    r, s = decode_dss_signature(private.sign(message, _ECDSA))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


Sign = Callable[[bytes], bytes]
"""Returns the ES256 signature (64 bytes) over a message."""


class SigningKey:
    """Our P-256 key; `kid` is a fragment (`key-1`) or a whole id (`did:web:h#key-1`).

    Its private half is here, or somewhere else that signs (see `held_elsewhere`) and is not seen.
    """

    def __init__(self, kid: str, key: ECKey, sign: Sign | None = None) -> None:
        if not _KID.fullmatch(kid):
            raise errors.SettingsError(f"the key id {kid[:100]!r} must be 1 to 1024 visible ASCII characters")
        if (sign is None and not key.is_private) or key.curve_name != "P-256":
            raise errors.SettingsError(f"the key {kid!r} is not a private EC key on the curve P-256")
        self.kid = kid
        self._key = key
        self.signature: Sign = sign or functools.partial(es256, key.get_op_key("sign"))
        """Returns the signature (64 bytes) over a message, which is no JWS: see `evidence.checkpoint`."""
        self._heads: dict[str, bytes] = {}

    @classmethod
    def held_elsewhere(cls, kid: str, jwk: Mapping[str, Any], sign: Sign) -> SigningKey:
        """Return the key with the public half `jwk` for which `sign` signs."""
        return cls(kid, ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")}), sign)

    @classmethod
    def generate(cls, kid: str) -> SigningKey:
        """Make a new key from the operating system's chance."""
        return cls(kid, ECKey.generate_key("P-256", private=True))

    @classmethod
    def load_pem(cls, kid: str, pem: bytes) -> SigningKey:
        """Read a PEM file's bytes (PKCS #8 or SEC 1, not encrypted).

        Raises:
            SettingsError: it is not a private P-256 key.
        """
        try:
            return cls(kid, ECKey.import_key(pem))
        except (ValueError, TypeError, joserfc_errors.JoseError) as error:
            raise errors.SettingsError(
                f"the key {kid!r} cannot be read: it is not an EC private key in PEM form",
                hint="make one with: comity init",
            ) from error

    def dump_pem(self) -> bytes:
        """Return PKCS #8 PEM, not encrypted: keep it in a file that only the connector may read.

        Raises:
            SettingsError: the private half is not here.
        """
        if not self._key.is_private:
            raise errors.SettingsError(f"the key {self.kid!r} is held elsewhere, which does not give it away")
        return self._key.as_pem(private=True)

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half with its `kid`, without any private member."""
        public = self._key.as_dict(private=False)
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": public["x"],
            "y": public["y"],
            "alg": "ES256",
            "kid": self.kid,
        }

    def sign(self, claims: Mapping[str, Any], *, kid: str = "") -> str:
        """Return a compact JWS over `claims`; `kid` stands in the header instead of the key's own if given."""
        named = kid or self.kid
        head = self._heads.get(named)
        if head is None:
            head = self._heads[named] = encode_segment(
                msgspec.json.encode({"alg": "ES256", "typ": "JWT", "kid": named})
            )
        signed = head + b"." + encode_segment(msgspec.json.encode(claims))
        return (signed + b"." + encode_segment(self.signature(signed))).decode("ascii")


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """Prepare a public JWK: EC P-256 for ES256, OKP Ed25519 for `Ed25519` and its old name `EdDSA`.

    Raises:
        IdentityError: another kind of key, a private key, or a point that is not on the curve (step `key`).
    """
    kind = (jwk.get("kty"), jwk.get("crv"))
    if any(member in jwk for member in _PRIVATE_MEMBERS):
        raise _bad_key("it holds private members: a key that was published proves nothing, make a new one")
    if jwk.get("use", "sig") != "sig" or "verify" not in _list(jwk.get("key_ops", ["verify"])):
        raise _bad_key("its use or key_ops do not allow signatures")
    names = {"EC": ("x", "y"), "OKP": ("x",)}.get(str(kind[0]), ())
    if any(not isinstance(jwk.get(name), str) or not _COORDINATE.fullmatch(jwk[name]) for name in names):
        raise _bad_key(f"{' and '.join(names)} must be 43 characters of base64url")
    members = {"kty": jwk.get("kty"), "crv": jwk.get("crv"), **{name: jwk[name] for name in names}}
    try:
        if kind == ("EC", "P-256"):
            return _prepared(ECKey.import_key(members), frozenset({"ES256"}), jwk)
        if kind == ("OKP", "Ed25519"):
            return _prepared(OKPKey.import_key(members), frozenset({"Ed25519", "EdDSA"}), jwk)
    except (ValueError, TypeError, joserfc_errors.JoseError) as error:
        raise _bad_key("it is not a point on its curve") from error
    raise _bad_key(
        f"kty {str(kind[0])[:20]!r} with crv {str(kind[1])[:20]!r} is not taken: use EC P-256 or OKP Ed25519"
    )


def _prepared(key: ECKey | OKPKey, algorithms: frozenset[str], jwk: Mapping[str, Any]) -> PublicKey:
    said = jwk.get("alg")
    if said is not None and (not isinstance(said, str) or said not in algorithms):
        raise _bad_key(f"its alg {str(said)[:20]!r} does not fit its kty")
    key.get_op_key("verify")  # a point off the curve fails here, once
    return PublicKey(key, algorithms if said is None else frozenset({said}))


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the RFC 7638 SHA-256 thumbprint of a public JWK, in base64url.

    Raises:
        IdentityError: it is not a key that `public_key` takes.
    """
    return public_key(jwk).key.thumbprint()


def encode_segment(data: bytes) -> bytes:
    """Encode base64url without padding (RFC 7515, section 2)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE)


def decode_segment(segment: bytes) -> bytes:
    """Decode base64url without padding; only the one canonical spelling is taken.

    Raises:
        ValueError: other characters, padding, or bits left over.
    """
    if b"+" in segment or b"/" in segment or b"=" in segment:
        raise ValueError("not base64url without padding")
    data = binascii.a2b_base64(segment.translate(_PLAIN) + b"=" * (-len(segment) % 4), strict_mode=True)
    if encode_segment(data) != segment:
        raise ValueError("bits are left over at the end")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def decode_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, each name once, no NaN, no deep nesting.

    Raises:
        ValueError: it is anything else.
    """
    try:
        value = _decoder.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  # callers turn ValueError into their own error
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _bad_key(why: str) -> errors.IdentityError:
    return errors.IdentityError(f"the public key cannot be used: {why}", step="key")
