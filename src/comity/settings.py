"""What an operator decides, in one file of the data folder (`comity.toml`), and the keys beside it.

`initialize` makes a data folder, `load` reads one and says of every mistake which key of which file is wrong. The keys
lie in `keys/`, readable by their owner only: `connector.pem` signs, `seal.key` encrypts columns, `management.key`
opens the management API.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from comity import errors
from comity.db.seal import KEY_BYTES
from comity.identity import did, jose, keyring
from comity.storage import descriptor
from comity.storage import keys as key_files

if TYPE_CHECKING:
    from comity.storage import hsm

FILE = "comity.toml"
DATABASE = "comity.sqlite"
DATABASE_URL = "COMITY_DATABASE_URL"
HSM_PIN = "COMITY_HSM_PIN"
RECEIVED = "received"
SEAL_KEY, MANAGEMENT_KEY = "seal.key", "management.key"
MAX_DAYS = 36_500

TEMPLATE = """\
# Comity: settings of {name}. Documented in docs/reference/settings.md; restart after a change.

[participant]
id = {participant_id}
name = {name}

[public]
# The address at which partners reach this connector, and where it listens for them.
address = {address}
listen = {listen}
{tls}
[management]
# For your own people and programs: not to be reached from outside.
listen = {management}

[database]
# Empty: SQLite in this folder. Else the URL of a PostgreSQL database: postgresql://user:password@host/name
url = {database}

[keys]
# Empty: signing keys are files in keys/. Else the PKCS#11 module of an HSM, its token, and a file with the PIN.
{token}
[storage]
# Folders that may be published from and received into.
roots = [{roots}]

[outgoing]
# Private networks or hosts that may be connected to, such as "10.1.0.0/16"; all others are refused.
allow = []

[evidence]
# How often checkpoints are made and stamped, and by which authority: docs/reference/settings.md.

[events]
# For how many days events are kept for those who read them later.
keep_days = 30

[frameworks]
# How long a partner's word on a framework agreement counts, and whose signatories: docs/reference/settings.md.

[limits]
# How much one address or one partner may have at once: docs/reference/settings.md.

[development]
# true allows http and loopback addresses: for one machine, never between two sites.
insecure = {insecure}
# true believes whoever says a name: only for tests against other connectors.
mock_identity = {mock_identity}
"""


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
    management_key: str = field(default="", repr=False)
    database_url: str = field(default="", repr=False)
    keys_hsm_module: str = ""
    keys_hsm_token: str = ""
    keys_hsm_pin_file: str = ""

    @property
    def management_address(self) -> str:
        """The address of the management API on this machine."""
        host, _, port = self.management.rpartition(":")
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  compared, not bound

    @property
    def database(self) -> Path:
        """The SQLite file, which is the store if there is no `database_url`."""
        return self.folder / DATABASE


def initialize(  # noqa: PLR0913  what an operator decides
    folder: Path,
    *,
    address: str,
    name: str = "",
    listen: str = "",
    management: str = "127.0.0.1:8281",
    roots: Sequence[str] = (),
    tls_certificate: str = "",
    tls_key: str = "",
    insecure: bool = False,
    mock_identity: bool = False,
    participant_id: str = "",
    database: str = "",
    token: Mapping[str, str] | None = None,
    before: Callable[[Settings], object] = lambda _: None,
) -> Settings:
    """Make a data folder with settings and new keys, and return the settings; `before` sees them ere they are written.

    The signing key is made in the PKCS#11 token, where one is given by the settings of `[keys]`.

    Raises:
        SettingsError: the folder holds a connector already, or a value is wrong; nothing was written then.
        ComityError: what `before` raises; nothing was written then either.
    """
    folder = folder.absolute()
    if (folder / FILE).exists():
        raise errors.SettingsError(
            f"{folder} holds a connector already",
            hint=f"start it with: comity serve --data {shlex.quote(str(folder))}",
        )
    address = address.rstrip("/")
    values = {
        "participant": {"id": participant_id or _participant_id(address), "name": name or _host(address)},
        "public": {
            "address": address,
            "listen": listen or _default_listen(address),
            **(
                {"tls_certificate": tls_certificate, "tls_key": tls_key} if tls_certificate or tls_key else {}
            ),
        },
        "management": {"listen": management},
        "database": {"url": database},
        "keys": dict(token or {}),
        "storage": {"roots": list(roots) or _default_roots(folder)},
        "development": {"insecure": insecure, "mock_identity": mock_identity},
    }
    settings = read_values(folder, values)
    before(read_values(folder, _with_environment(values)))
    made = {
        **_first_key(settings),
        SEAL_KEY: secrets.token_hex(KEY_BYTES).encode(),
        MANAGEMENT_KEY: secrets.token_urlsafe(32).encode(),
    }
    write_folder(folder, _format(settings).encode(), made, readable=not database)  # a URL has a password
    return load(folder)


def _first_key(settings: Settings) -> dict[str, bytes]:
    """Make the first signing key and return the file that says which it is."""
    token = open_token(settings)
    if token is None:
        return {key_files.FIRST_FILE: jose.SigningKey.generate(keyring.FIRST).dump_pem()}
    return {key_files.RING: key_files.first_ring(token.make(f"{settings.participant_id}#{keyring.FIRST}"))}


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


def _participant_id(address: str) -> str:
    try:
        return did.format_did_web(address)
    except errors.IdentityError as error:
        raise errors.SettingsError(
            f"the address cannot be a did:web name: {error.message}", hint=error.hint
        ) from None


def _split(address: str) -> SplitResult | None:
    """Return the parts of a public address, None if it is none that partners could reach."""
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:  # its host or port cannot be read
        return None
    plain = re.fullmatch(r"[!-~]+", address) and "@" not in parts.netloc
    return parts if usable and plain and parts.scheme in {"http", "https"} else None


def _host(address: str) -> str:
    parts = _split(address)
    return (parts.hostname if parts else None) or address


def _default_listen(address: str) -> str:
    parts = _split(address)
    if parts is None:
        return "127.0.0.1:0"  # the address is refused before anything listens
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"127.0.0.1:{port}" if parts.hostname in {"localhost", "127.0.0.1"} else f"0.0.0.0:{port}"


def _default_roots(folder: Path) -> list[str]:
    folders = [folder / RECEIVED]
    for find in (Path.home, Path.cwd):
        with contextlib.suppress(OSError, RuntimeError):  # an account without a home, a folder that is gone
            folders.append(find())
    # the connector's own data folder is refused below these, but for what was received
    return list(dict.fromkeys(str(each) for each in folders))


def write_folder(folder: Path, content: bytes, keys: Mapping[str, bytes], *, readable: bool) -> None:
    """Write a data folder; the settings last, so that one with settings has all its keys.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        for each, mode in ((folder, 0o700), (folder / "keys", 0o700), (folder / RECEIVED, 0o777)):
            descriptor.make_folder(str(each), mode)
        for name, key in keys.items():
            _put(folder / "keys" / name, key, mode=0o600)
        _put(folder / FILE, content, mode=0o644 if readable else 0o600)
    except OSError as error:
        raise errors.SettingsError(f"{folder} cannot be written: {error.strerror}") from None


def _put(path: Path, content: bytes, *, mode: int) -> None:
    """Make a file whole or not at all: half a key, after a full disk, would be taken for a key later."""
    if not path.exists():  # never overwrite a key: what was sealed or signed with it would be lost
        descriptor.write_whole(path, content, mode)


def _format(settings: Settings) -> str:
    tls = ""
    if settings.tls_certificate:
        tls = f"tls_certificate = {quote(settings.tls_certificate)}\ntls_key = {quote(settings.tls_key)}\n"
    return TEMPLATE.format(
        participant_id=quote(settings.participant_id),
        name=quote(settings.name),
        address=quote(settings.address),
        listen=quote(settings.listen),
        management=quote(settings.management),
        tls=tls,
        database=quote(settings.database_url),
        token="".join(
            f"{name} = {quote(getattr(settings, f'keys_{name}'))}\n"
            for name in KEYS["keys"]
            if name == "hsm_module" or getattr(settings, f"keys_{name}")
        ),
        roots=", ".join(quote(root) for root in settings.roots),
        insecure=str(settings.insecure).lower(),
        mock_identity=str(settings.mock_identity).lower(),
    )


def quote(text: str) -> str:
    """Write a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


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
    return read_values(folder, _with_environment(values), management_key=management_key)


def _with_environment(values: dict[str, Any]) -> dict[str, Any]:
    url = os.environ.get(DATABASE_URL)
    return {**values, "database": {"url": url}} if url else values


KEYS: dict[str, dict[str, type]] = {
    "participant": {"id": str, "name": str},
    "public": {"address": str, "listen": str, "tls_certificate": str, "tls_key": str},
    "management": {"listen": str},
    "database": {"url": str},
    "keys": {"hsm_module": str, "hsm_token": str, "hsm_pin_file": str},
    "storage": {"roots": list, "spatial": list},
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
    "development": {"insecure": bool, "mock_identity": bool},
}


def read_values(folder: Path, values: dict[str, Any], *, management_key: str = "") -> Settings:
    """Return the settings that the file of a folder says, or would say.

    Raises:
        SettingsError: a key is missing, unknown or wrong.
    """
    place = folder / FILE
    for section, keys in values.items():
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
        **values.get("development", {}),
    )
    _check(place, settings)
    return settings


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
    parts = _split(settings.address)
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


def _check_evidence(place: Path, settings: Settings) -> None:
    url = settings.evidence_stamp_url
    if url and (_split(url) is None or not settings.evidence_stamp_ca):
        raise errors.SettingsError(
            f"{place}: evidence.stamp_url must be an http or https address, and evidence.stamp_ca a file with the"
            " certificates of its authority"
        )
    if settings.evidence_stop_after_s and not url:
        raise errors.SettingsError(f"{place}: evidence.stop_after_s needs evidence.stamp_url")


def _check_numbers(place: Path, settings: Settings) -> None:
    ranges = {
        "events.keep_days": (1, MAX_DAYS),
        "frameworks.lease_hours": (1, MAX_DAYS * 24),
        "evidence.checkpoint_every_s": (1, MAX_DAYS),
        "evidence.stamp_every_s": (1, MAX_DAYS),
        "evidence.stop_after_s": (0, MAX_DAYS * 86_400),
    }
    for name, (lowest, highest) in ranges.items():
        if not lowest <= getattr(settings, name.replace(".", "_")) <= highest:
            raise errors.SettingsError(f"{place}: {name} must be {lowest} to {highest}")
    if bool(settings.keys_hsm_module) != bool(settings.keys_hsm_token):
        raise errors.SettingsError(f"{place}: keys.hsm_module and keys.hsm_token go together")
    for name in KEYS["limits"]:
        if getattr(settings, f"limits_{name}") < 1:
            raise errors.SettingsError(f"{place}: limits.{name} must be 1 or more")


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
