"""What an operator decides, in one file of the data folder (`comity.toml`), and the keys beside it.

`data_folder` makes a data folder, `load` reads one and says of every mistake which key of which file is wrong. The keys
lie in `keys/`, readable by their owner only: `connector.pem` signs, `seal.key` encrypts columns, `management.key`
opens the management API.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from comity import errors
from comity.db.seal import KEY_BYTES
from comity.identity import jose, keyring
from comity.management import rates
from comity.storage import buckets
from comity.storage import keys as key_files
from comity.storage.buckets import Bucket

if TYPE_CHECKING:
    from comity.storage import hsm

FILE = "comity.toml"
DATABASE = "comity.sqlite"
DATABASE_URL = "COMITY_DATABASE_URL"
HSM_PIN = "COMITY_HSM_PIN"
RECEIVED = "received"
KEPT = "kept"
SEAL_KEY, MANAGEMENT_KEY = "seal.key", "management.key"
MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A connector's settings; addresses are `host:port`, `tls_*` paths or empty (a proxy ends TLS)."""

    folder: Path
    participant_id: str
    name: str
    address: str
    listen: str
    management: str
    roots: tuple[str, ...]
    storage_spatial: tuple[str, ...] = ()
    storage_kept: str = ""
    storage_shred_after_days: int = 7
    allow: tuple[str, ...] = ()
    tls_certificate: str = ""
    tls_key: str = ""
    ca_file: str = ""
    insecure: bool = False
    mock_identity: bool = False
    events_keep_days: int = 30
    evidence_checkpoint_every_s: int = 60
    evidence_stamp_url: str = ""
    evidence_stamp_ca: str = ""
    evidence_stamp_every_s: int = 60
    evidence_stop_after_s: int = 0
    frameworks_lease_hours: int = 24
    frameworks_trust_roots: str = ""
    limits_connections: int = 4096
    limits_connections_per_address: int = 1024
    limits_open_processes: int = 100_000
    limits_refused_per_hour: int = 1000
    transfers_limit: str = ""
    transfers_streams: int = 8
    transfers_ahead_mib: int = 1
    management_key: str = field(default="", repr=False)
    database_url: str = field(default="", repr=False)
    keys_hsm_module: str = ""
    keys_hsm_token: str = ""
    keys_hsm_pin_file: str = ""
    buckets: tuple[Bucket, ...] = ()

    @property
    def management_address(self) -> str:
        """The address of the management API on this machine."""
        host, _, port = self.management.rpartition(":")
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  compared, not bound

    @property
    def kept(self) -> Path:
        """The folder of the store of what was received."""
        return Path(self.storage_kept) if self.storage_kept else self.folder / KEPT

    @property
    def database(self) -> Path:
        """The SQLite file, which is the store if there is no `database_url`."""
        return self.folder / DATABASE


def open_token(settings: Settings) -> hsm.Token | None:
    """Return the token that holds our signing keys, None if they are files.

    Raises:
        SettingsError: it cannot be used.
    """
    if not settings.keys_hsm_module:
        return None
    from comity.storage import hsm  # noqa: PLC0415  its driver is an extra

    return hsm.Token(settings.keys_hsm_module, settings.keys_hsm_token, _pin(settings))


def _pin(settings: Settings) -> str:
    found = os.environ.get(HSM_PIN, "")
    path = settings.keys_hsm_pin_file
    if not found and path:
        try:
            found = (settings.folder / path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise errors.SettingsError(f"keys.hsm_pin_file {path} cannot be read: {error}") from None
    if not found:
        raise errors.SettingsError(
            f"the PIN of the token {settings.keys_hsm_token} is missing",
            hint=f"name a file with it in keys.hsm_pin_file, or put it into {HSM_PIN}",
        )
    return found


def split_address(address: str) -> SplitResult | None:
    """Return the parts of a public address, None if it is none that partners could reach."""
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:  # its host or port cannot be read
        return None
    plain = re.fullmatch(r"[!-~]+", address) and "@" not in parts.netloc
    return parts if usable and plain and parts.scheme in {"http", "https"} else None


def load(folder: Path) -> Settings:
    """Read the settings of a data folder.

    Raises:
        SettingsError: there is no connector in it, or a key of the file is missing, unknown or wrong.
    """
    folder = folder.absolute()
    try:
        content = (folder / FILE).read_bytes()
        key = (folder / "keys" / MANAGEMENT_KEY).read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise errors.SettingsError(
            f"there is no connector in {folder}: {Path(error.filename).name} is missing",
            hint="make one with: comity init --address https://...",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.SettingsError(f"{folder / FILE} cannot be read: {error}") from None
    if not key:
        raise errors.SettingsError(
            f"{folder / 'keys' / 'management.key'} is empty: it would open the API to everybody"
        )
    return read_text(folder, content, management_key=key)


def read_text(folder: Path, content: bytes, *, management_key: str = "") -> Settings:
    """Return the settings that the text of a file says; the database is the environment's, if that names one.

    Raises:
        SettingsError: it is no such text, or a key is missing, unknown or wrong.
    """
    try:
        values = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise errors.SettingsError(f"{folder / FILE} cannot be read: {error}") from None
    return read_values(folder, with_environment(values), management_key=management_key)


def with_environment(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a file with those that the environment puts in their place."""
    url = os.environ.get(DATABASE_URL)
    return {**values, "database": {"url": url}} if url else values


KEYS: dict[str, dict[str, type]] = {
    "participant": {"id": str, "name": str},
    "public": {"address": str, "listen": str, "tls_certificate": str, "tls_key": str},
    "management": {"listen": str},
    "database": {"url": str},
    "keys": {"hsm_module": str, "hsm_token": str, "hsm_pin_file": str},
    "storage": {"roots": list, "spatial": list, "kept": str, "shred_after_days": int},
    "outgoing": {"allow": list, "ca_file": str},
    "evidence": {
        "checkpoint_every_s": int,
        "stamp_url": str,
        "stamp_ca": str,
        "stamp_every_s": int,
        "stop_after_s": int,
    },
    "events": {"keep_days": int},
    "frameworks": {"lease_hours": int, "trust_roots": str},
    "limits": {
        "connections": int,
        "connections_per_address": int,
        "open_processes": int,
        "refused_per_hour": int,
    },
    "transfers": {"limit": str, "streams": int, "ahead_mib": int},
    "development": {"insecure": bool, "mock_identity": bool},
}


def read_values(folder: Path, values: dict[str, Any], *, management_key: str = "") -> Settings:
    """Return the settings that the file of a folder says, or would say.

    Raises:
        SettingsError: a key is missing, unknown or wrong.
    """
    place = folder / FILE
    listed = values.get("buckets", {})
    for section, keys in values.items():
        if section == "buckets":
            continue
        if section not in KEYS:
            raise errors.SettingsError(f"{place}: there is no section {section}")
        for name, value in keys.items() if isinstance(keys, dict) else [("", keys)]:
            wanted = KEYS.get(section, {}).get(name)
            if wanted is None:
                raise errors.SettingsError(f"{place}: there is no setting {section}.{name}".rstrip("."))
            if type(value) is not wanted or not all(isinstance(each, str) for each in _texts(value)):
                raise errors.SettingsError(f"{place}: {section}.{name} must be {_NAMES[wanted]}")
            if any(not _is_unicode(each) for each in _texts(value)):
                raise errors.SettingsError(f"{place}: {section}.{name} has a character that is not Unicode")
    settings = Settings(
        folder=folder,
        participant_id=_require(place, values, "participant", "id"),
        name=_require(place, values, "participant", "name"),
        address=_require(place, values, "public", "address").rstrip("/"),
        listen=_require(place, values, "public", "listen"),
        management=_require(place, values, "management", "listen"),
        roots=tuple(values.get("storage", {}).get("roots", ())),
        storage_spatial=tuple(values.get("storage", {}).get("spatial", ())),
        storage_kept=values.get("storage", {}).get("kept", ""),
        storage_shred_after_days=values.get("storage", {}).get("shred_after_days", 7),
        allow=tuple(values.get("outgoing", {}).get("allow", ())),
        ca_file=values.get("outgoing", {}).get("ca_file", ""),
        tls_certificate=values["public"].get("tls_certificate", ""),
        tls_key=values["public"].get("tls_key", ""),
        events_keep_days=values.get("events", {}).get("keep_days", 30),
        management_key=management_key,
        database_url=values.get("database", {}).get("url", ""),
        **{f"evidence_{name}": value for name, value in values.get("evidence", {}).items()},
        **{f"frameworks_{name}": value for name, value in values.get("frameworks", {}).items()},
        **{f"keys_{name}": value for name, value in values.get("keys", {}).items()},
        **{f"limits_{name}": value for name, value in values.get("limits", {}).items()},
        **{f"transfers_{name}": value for name, value in values.get("transfers", {}).items()},
        **values.get("development", {}),
        buckets=_buckets(place, listed, insecure=values.get("development", {}).get("insecure", False)),
    )
    _check(place, settings)
    return settings


def _buckets(place: Path, listed: Any, *, insecure: bool) -> tuple[Bucket, ...]:
    if not isinstance(listed, dict):
        raise errors.SettingsError(f"{place}: there is no setting buckets", hint="write [buckets.NAME]")
    try:
        return tuple(buckets.read(name, values, insecure=insecure) for name, values in listed.items())
    except errors.SettingsError as error:
        raise errors.SettingsError(f"{place}: {error.message}", hint=error.hint) from None


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _is_unicode(text: str) -> bool:
    """Say whether a text can be written to the file: a path of odd bytes has surrogates in it."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)  # noqa: PLR2004  Unicode


_NAMES = {str: "a text", int: "a whole number", list: "a list of texts", bool: "true or false"}


def _require(place: Path, values: dict[str, Any], section: str, name: str) -> str:
    value = values.get(section, {}).get(name)
    if not value:
        raise errors.SettingsError(f"{place}: {section}.{name} is missing")
    return str(value)


def _check(place: Path, settings: Settings) -> None:
    parts = split_address(settings.address)
    if parts is None:
        raise errors.SettingsError(
            f"{place}: public.address must be an address such as https://connector.example, not {settings.address!r}"
        )
    if parts.scheme == "http" and not settings.insecure:
        raise errors.SettingsError(
            f"{place}: public.address is http", hint="use https, or for one machine development.insecure"
        )
    for name, value in (("public.listen", settings.listen), ("management.listen", settings.management)):
        split_listen(value, f"{place}: {name}")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise errors.SettingsError(f"{place}: public.tls_certificate and public.tls_key go together")
    _check_evidence(place, settings)
    _check_numbers(place, settings)
    if settings.database_url and not _is_database(
        settings.database_url
    ):  # never shown: it may hold a password
        raise errors.SettingsError(
            f"{place}: database.url, or {DATABASE_URL}, is no URL of a PostgreSQL database",
            hint="write postgresql://user:password@host/name; without one the store is SQLite in the data folder",
        )
    if not all(Path(root).is_absolute() for root in settings.roots):
        raise errors.SettingsError(f"{place}: storage.roots must be absolute paths")
    if settings.storage_kept:
        _check_kept(place, settings)


def _check_kept(place: Path, settings: Settings) -> None:
    kept = settings.kept
    if not kept.is_absolute():
        raise errors.SettingsError(f"{place}: storage.kept must be an absolute path")
    if any(kept.is_relative_to(root) or Path(root).is_relative_to(kept) for root in settings.roots):
        raise errors.SettingsError(
            f"{place}: storage.kept must not lie in a folder of storage.roots, or around one",
            hint="what is published or received there would lie among the files of the store",
        )


def _check_evidence(place: Path, settings: Settings) -> None:
    url = settings.evidence_stamp_url
    if url and (split_address(url) is None or not settings.evidence_stamp_ca):
        raise errors.SettingsError(
            f"{place}: evidence.stamp_url must be an http or https address, and evidence.stamp_ca a file with the"
            " certificates of its authority"
        )
    if settings.evidence_stop_after_s and not url:
        raise errors.SettingsError(f"{place}: evidence.stop_after_s needs evidence.stamp_url")


def _check_numbers(place: Path, settings: Settings) -> None:
    ranges = {
        "events.keep_days": (1, MAX_DAYS),
        "storage.shred_after_days": (0, MAX_DAYS),
        "frameworks.lease_hours": (1, MAX_DAYS * 24),
        "evidence.checkpoint_every_s": (1, MAX_DAYS),
        "evidence.stamp_every_s": (1, MAX_DAYS),
        "evidence.stop_after_s": (0, MAX_DAYS * 86_400),
        "transfers.streams": (1, 16),
        "transfers.ahead_mib": (1, 64),
    }
    for name, (lowest, highest) in ranges.items():
        if not lowest <= getattr(settings, name.replace(".", "_")) <= highest:
            raise errors.SettingsError(f"{place}: {name} must be {lowest} to {highest}")
    if bool(settings.keys_hsm_module) != bool(settings.keys_hsm_token):
        raise errors.SettingsError(f"{place}: keys.hsm_module and keys.hsm_token go together")
    for name in KEYS["limits"]:
        if getattr(settings, f"limits_{name}") < 1:
            raise errors.SettingsError(f"{place}: limits.{name} must be 1 or more")
    try:
        rates.parse(settings.transfers_limit)
    except errors.InvalidInputError as error:
        raise errors.SettingsError(f"{place}: transfers.limit: {error.message}", hint=error.hint) from None


def _is_database(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"postgresql", "postgres"} and len(parts.path) > 1
    except ValueError:
        return False


def split_listen(listen: str, name: str) -> tuple[str, int]:
    """Return host and port of a `host:port`.

    Raises:
        SettingsError: it is not of that form.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:  # noqa: PLR2004  TCP
        raise errors.SettingsError(f"{name} must be host:port, not {listen!r}")
    return host, int(port)


def signing_keys(settings: Settings, *, now_ms: Callable[[], int]) -> key_files.KeyFiles:
    """Return the keys that sign for a connector.

    Raises:
        SettingsError: the key that signs now cannot be read, or its token cannot be used.
    """
    token = open_token(settings)
    try:
        return key_files.KeyFiles(
            settings.folder / "keys", settings.participant_id, now_ms=now_ms, token=token
        )
    except errors.KeyAwayError as error:
        raise errors.SettingsError(error.message, hint=error.hint) from None


def signing_key(settings: Settings) -> jose.SigningKey:
    """Return the key that `initialize` made in a file; which one signs after rotations is `storage.keys`.

    Raises:
        SettingsError: it cannot be read.
    """
    return key_files.read(
        settings.folder / "keys" / key_files.FIRST_FILE, f"{settings.participant_id}#{keyring.FIRST}"
    )


def seal_key(settings: Settings) -> bytes:
    """Return the key that encrypts columns.

    Raises:
        SettingsError: it cannot be read, or is not 32 bytes in hex.
    """
    return read_seal_key(_read_key(settings, SEAL_KEY), str(settings.folder / "keys" / SEAL_KEY))


def read_seal_key(text: bytes, place: str) -> bytes:
    """Return the key that a text says; `place` is where that came from.

    Raises:
        SettingsError: it is not 32 bytes in hex.
    """
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise errors.SettingsError(f"{place} is not a key of {KEY_BYTES} bytes in hex")
    return key


def _read_key(settings: Settings, name: str) -> bytes:
    path = settings.folder / "keys" / name
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise errors.SettingsError(f"{path} cannot be read: {error.strerror}") from None
