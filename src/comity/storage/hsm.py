"""Signing keys in an HSM, or any token that speaks PKCS#11: made in it, used in it, never seen outside of it.

A key pair lies there under the key's whole id as its label (`did:web:h#key-2`), and is told from another with the same
label by its public half, which `keyring.json` has. One session, one call at a time: a call that fails is made once more
in a new session, since tokens lose sessions; if it fails again nothing is signed. The rules of keys are
`comity.identity.keyring`. Why so: docs/decisions/0021.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from comity import errors
from comity.identity import jose

try:
    import pkcs11
    from pkcs11 import exceptions
    from pkcs11.util.ec import encode_named_curve_parameters
except ImportError:
    raise errors.SettingsError(
        "keys.hsm_module is set, but the driver of PKCS#11 is not installed",
        hint=f"install it: {errors.install('hsm')}",
    ) from None

T = TypeVar("T")
POINT_BYTES = 65
HALF = 32
SLOW_MS = 5
SIGNATURES = 2
"""How many are made for a message that we send: for its token, and for the message."""

log = logging.getLogger(__name__)


class Token:
    """A token of a PKCS#11 module, logged in to. For any thread."""

    def __init__(self, module: str, label: str, pin: str) -> None:
        """Use the token with this label of the module in the file `module`.

        Raises:
            SettingsError: it cannot be used: the module, the token or the PIN is wrong, or the driver is not installed.
        """
        self._module, self._label, self._pin = module, label, pin
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        """Id of a pair in the token, in hex -> its private half, as the session that is open knows it."""
        self._session: Any = self._open()

    def make(self, kid: str) -> jose.SigningKey:
        """Make a key pair in the token.

        Raises:
            KeyAwayError: the token does not answer, or makes none.
        """
        ident = os.urandom(16)

        def generate(session: Any) -> jose.SigningKey:
            curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
            parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
            public, _ = parameters.generate_keypair(
                store=True,
                label=kid,
                id=ident,
                private_template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
            )
            return self._key(kid, ident, _jwk(public))

        return self._do(generate)

    def find(self, kid: str, jwk: Mapping[str, Any]) -> jose.SigningKey:
        """Return the key with this label and public half.

        Raises:
            KeyAwayError: the token does not have it, or does not answer.
        """

        def search(session: Any) -> jose.SigningKey | None:
            wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.Attribute.LABEL: kid}
            for public in list(session.get_objects(wanted)):
                found = _jwk(public)
                if (found["x"], found["y"]) == (jwk["x"], jwk["y"]):
                    return self._key(kid, bytes(public[pkcs11.Attribute.ID]), found)
            return None

        key = self._do(search)
        if key is not None:
            self._try(key)
            return key
        raise errors.KeyAwayError(
            f"the token {self._label} does not have the key {kid} that partners know",
            hint="use the token in which it was made",
        )

    def _try(self, key: jose.SigningKey) -> None:
        """Have a key sign once, and say if that takes so long that nothing else would get on."""
        begun = time.perf_counter()
        signature = key.signature(b"comity")
        took_ms = (time.perf_counter() - begun) * 1000
        if not jose.public_key(key.public_jwk()).holds(b"comity", signature):
            raise errors.KeyAwayError(f"the token {self._label} signs with another key than {key.kid}")
        if took_ms > SLOW_MS:
            log.warning(
                "the token %s takes %.0f ms to sign, and all else waits: about %.0f messages a second at most",
                self._label,
                took_ms,
                1000 / took_ms / SIGNATURES,
            )

    def _key(self, kid: str, ident: bytes, jwk: Mapping[str, Any]) -> jose.SigningKey:
        return jose.SigningKey.held_elsewhere(kid, jwk, lambda message: self._sign(ident, message))

    def _sign(self, ident: bytes, message: bytes) -> bytes:
        digest = sha256(message).digest()

        def sign(session: Any) -> bytes:
            made = self._private(session, ident).sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
            return bytes(made)

        return self._do(sign)

    def _private(self, session: Any, ident: bytes) -> Any:
        found = self._keys.get(ident.hex())
        if found is None:
            wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.ID: ident}
            listed = list(
                session.get_objects(wanted)
            )  # to its end: a search that is left open keeps others out
            if not listed:
                raise exceptions.NoSuchKey
            found = listed[0]
            self._keys[ident.hex()] = found
        return found

    def _do(self, work: Callable[[Any], T]) -> T:
        """Do something in the session, once more in a new one if it fails.

        Raises:
            KeyAwayError: it fails again.
        """
        with self._lock:
            with contextlib.suppress(exceptions.PKCS11Error):
                if self._session is not None:
                    return work(self._session)
            try:
                self._session = self._open_anew()
                return work(self._session)
            except (exceptions.PKCS11Error, errors.SettingsError) as error:
                self._session = None
                raise errors.KeyAwayError(
                    f"the token {self._label} does not sign now: {_said(error)}",
                    hint="is it plugged in, and its service running?",
                ) from None

    def _open_anew(self) -> Any:
        """Open another session; where that fails, after the module was loaded anew: not all recover by themselves."""
        self._keys.clear()
        before, self._session = self._session, None
        with contextlib.suppress(exceptions.PKCS11Error):
            if before is not None:
                before.close()
        with contextlib.suppress(errors.SettingsError):
            return self._open()
        with contextlib.suppress(exceptions.PKCS11Error):
            pkcs11.lib(self._module).reinitialize()
        return self._open()

    def _open(self) -> Any:
        with _told(f"keys.hsm_module {self._module} cannot be used"):
            library = pkcs11.lib(self._module)
        with _told(f"the module {self._module} has no token {self._label}"):
            token = library.get_token(token_label=self._label)
        with _told(f"the token {self._label} cannot be opened"):
            try:
                return token.open(rw=True, user_pin=self._pin)
            except exceptions.UserAlreadyLoggedIn:  # by another session of this process
                return token.open(rw=True)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (exceptions.PKCS11Error, OSError, RuntimeError) as error:
        raise errors.SettingsError(f"{what}: {_said(error)}", hint="docs/how-to/hsm.md") from None


def _said(error: Exception) -> str:
    """Return what an error says; the driver's say it by their class alone."""
    wrong = {"PinIncorrect": "the PIN is wrong", "PinLocked": "the PIN is locked: it was wrong too often"}
    name = type(error).__name__
    return wrong.get(name) or str(error) or name


def _jwk(public: Any) -> dict[str, str]:
    """Return the public half of a pair: EC_POINT is an octet string in DER, some modules leave that out."""
    point = bytes(public[pkcs11.Attribute.EC_POINT])[-POINT_BYTES:]
    if len(point) != POINT_BYTES or point[0] != 4:  # noqa: PLR2004  uncompressed (SEC 1)
        raise exceptions.AttributeValueInvalid
    x, y = point[1 : 1 + HALF], point[1 + HALF :]
    return {"kty": "EC", "crv": "P-256", "x": _text(x), "y": _text(y)}


def _text(coordinate: bytes) -> str:
    return jose.encode_segment(coordinate).decode("ascii")
