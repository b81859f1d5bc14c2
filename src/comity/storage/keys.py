"""The signing keys in `keys/`: one PEM file a key, and `keyring.json` that says when each signs and is published.

The first key is `connector.pem`; without `keyring.json` it is the only one. A change writes the new PEM file first and
then the ring, whole or not at all: whenever the process is killed, the ring names keys that are there. The rules are
`comity.identity.keyring`. Where a `Token` is given, new keys are made in it, and there is no PEM file of these.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from comity import errors
from comity.identity import jose, keyring
from comity.identity.keyring import Key, Keyring
from comity.storage import descriptor

RING: Final = "keyring.json"
FIRST_FILE: Final = "connector.pem"


class Token(Protocol):
    """Something that makes keys and signs with them, and gives none away; see `storage.hsm`."""

    def make(self, kid: str) -> jose.SigningKey:
        """Return a new key, its private half in the token; `kid` is its whole id."""

    def find(self, kid: str, jwk: Mapping[str, Any]) -> jose.SigningKey:
        """Return the key with this id and public half."""


class KeyFiles:
    """Signs and publishes by the keys of a folder; rotates and retires them. For any thread."""

    def __init__(
        self, folder: Path, participant_id: str, *, now_ms: Callable[[], int], token: Token | None = None
    ) -> None:
        """Read the ring of `folder`, and the key that signs now.

        Raises:
            SettingsError: the ring or that key cannot be read.
            KeyAwayError: that key is not in the token.
        """
        self._folder = folder
        self._token = token
        self._participant_id = participant_id
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._loaded: dict[str, jose.SigningKey] = {}
        self._ring = self._read_ring()
        self.signing_key()

    @property
    def ring(self) -> Keyring:
        """The ring as it is now."""
        return self._ring

    def signing_key(self) -> jose.SigningKey:
        """Return the key that signs now.

        Raises:
            SettingsError: its file is gone or cannot be read.
            KeyAwayError: its token does not have it.
        """
        signing = self._ring.signing(self._now_ms())
        key = self._loaded.get(signing.kid)
        if key is None:
            key = self._loaded[signing.kid] = self._read(signing)
        return key

    def _read(self, key: Key) -> jose.SigningKey:
        """Return the private half of a key: its file, also of one that was made before there was a token."""
        path, whole = self._path(key.kid), f"{self._participant_id}#{key.kid}"
        if self._token is None or path.exists():
            return read(path, whole)
        return self._token.find(whole, key.jwk)

    def published(self) -> list[dict[str, Any]]:
        """Return the public JWKs of the DID document."""
        return [each.jwk for each in self._ring.published(self._now_ms())]

    def rotate(self, *, lead_ms: int, grace_ms: int) -> Key:
        """Publish a new key that signs after `lead_ms`; the old ones leave `grace_ms` after that.

        Raises:
            ConflictError: a rotation is under way.
            InvalidInputError: a time is out of range.
            StorageError: the folder cannot be written; nothing has changed.
        """
        with self._lock:
            now_ms = self._now_ms()
            keyring.check_rotation(self._ring, now_ms=now_ms, lead_ms=lead_ms, grace_ms=grace_ms)
            return self._add(self._ring, now_ms=now_ms, lead_ms=lead_ms, grace_ms=grace_ms)

    def retire(self, kid: str) -> Key:
        """Take a key out of the document at once, and make a new one if none is left that stays.

        Raises:
            NotFoundError: there is no such key.
            StorageError: the folder cannot be written; nothing has changed.
        """
        with self._lock:
            now_ms = self._now_ms()
            lead_ms = keyring.successor_lead(self._ring, kid, now_ms=now_ms)
            ring = keyring.retired(self._ring, kid, now_ms=now_ms)
            if lead_ms is None:
                self._save(ring)
            else:
                self._add(ring, now_ms=now_ms, lead_ms=lead_ms, grace_ms=keyring.GRACE_MS)
            self._tidy(now_ms)
            return self._ring.find(kid)

    def dump(self) -> dict[str, bytes]:
        """Return the files that other replicas need: the ring, and the private keys that are there."""
        with self._lock:
            found = {RING: _ring_file(self._ring)}
            for each in self._ring.keys:
                with contextlib.suppress(FileNotFoundError):
                    found[self._path(each.kid).name] = self._path(each.kid).read_bytes()
            return found

    def take(self, files: Mapping[str, bytes]) -> None:
        """Have the files of another replica in the place of ours, and go on with them.

        Raises:
            StorageError: the folder cannot be written.
            SettingsError: they cannot be read.
        """
        with self._lock:
            put(self._folder, files)
            self._ring, self._loaded = self._read_ring(), {}
            self._tidy(self._now_ms())
        self.signing_key()

    def tidy(self) -> None:
        """Delete private keys that will never sign again."""
        with self._lock:
            self._tidy(self._now_ms())

    def _add(self, ring: Keyring, *, now_ms: int, lead_ms: int, grace_ms: int) -> Key:
        kid = ring.next_kid()
        key = self._make(kid, f"{self._participant_id}#{kid}")
        ring = keyring.rotated(ring, key.public_jwk(), now_ms=now_ms, lead_ms=lead_ms, grace_ms=grace_ms)
        self._save(ring)
        self._loaded[kid] = key
        return ring.keys[-1]

    def _make(self, kid: str, whole: str) -> jose.SigningKey:
        if self._token is not None:
            return self._token.make(whole)
        path = self._path(kid)
        with _writing(self._folder):
            if not path.exists():  # else a rotation was interrupted after it was written
                descriptor.write_whole(path, jose.SigningKey.generate(whole).dump_pem())
        return read(path, whole)

    def _save(self, ring: Keyring) -> None:
        with _writing(self._folder):
            descriptor.write_whole(self._folder / RING, _ring_file(ring))
        self._ring = ring

    def _tidy(self, now_ms: int) -> None:
        for each in self._ring.keys:
            if not each.published(now_ms):
                self._loaded.pop(each.kid, None)
                with contextlib.suppress(OSError):  # the next time, then
                    self._path(each.kid).unlink(missing_ok=True)

    def _path(self, kid: str) -> Path:
        return self._folder / (FIRST_FILE if kid == keyring.FIRST else f"{kid}.pem")

    def _read_ring(self) -> Keyring:
        path = self._folder / RING
        try:
            ring = msgspec.json.decode(path.read_bytes(), type=Keyring)
        except FileNotFoundError:
            first = read(self._folder / FIRST_FILE, f"{self._participant_id}#{keyring.FIRST}")
            return Keyring((Key(kid=keyring.FIRST, jwk={**first.public_jwk(), "kid": keyring.FIRST}),))
        except (OSError, msgspec.MsgspecError) as error:
            raise errors.SettingsError(
                f"{path} cannot be read: {error}", hint="put it back from a backup"
            ) from None
        return ring


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what `KeyFiles.dump` gave into a folder: the ring last, so that it never names a key that is not there.

    Raises:
        StorageError: the folder cannot be written.
    """
    with _writing(folder):
        for name, content in sorted(files.items(), key=lambda item: item[0] == RING):
            path = folder / Path(name).name
            if not path.exists() or path.read_bytes() != content:
                descriptor.write_whole(path, content)


def first_ring(key: jose.SigningKey) -> bytes:
    """Return the file of a ring whose first key has no file of its own."""
    jwk = {**key.public_jwk(), "kid": keyring.FIRST}
    return _ring_file(Keyring((Key(kid=keyring.FIRST, jwk=jwk),)))


def _ring_file(ring: Keyring) -> bytes:
    return msgspec.json.format(msgspec.json.encode(ring), indent=1) + b"\n"


def read(path: Path, kid: str) -> jose.SigningKey:
    """Return the private key in a PEM file.

    Raises:
        SettingsError: it cannot be read, or is not such a key.
    """
    try:
        return jose.SigningKey.load_pem(kid, path.read_bytes().strip())
    except OSError as error:
        raise errors.SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except errors.SettingsError:
        raise errors.SettingsError(
            f"{path} is not a private P-256 key in PEM form",
            hint="put back the key that partners know from a backup",
        ) from None


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.StorageError(f"{folder} cannot be written: {error.strerror}") from None
