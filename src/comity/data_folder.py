"""A new data folder: settings as a text that explains itself, and the first keys.

What the settings mean, and how they are read, is `settings`.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from comity import errors, settings
from comity.db.seal import KEY_BYTES
from comity.identity import did, jose, keyring
from comity.settings import Settings
from comity.storage import descriptor
from comity.storage import keys as key_files

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
# Folders that may be published from and received into; for buckets see docs/how-to/buckets.md.
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

[transfers]
# How fast transfers may be: docs/reference/settings.md.

[limits]
# How much one address or one partner may have at once: docs/reference/settings.md.

[development]
# true allows http and loopback addresses: for one machine, never between two sites.
insecure = {insecure}
# true believes whoever says a name: only for tests against other connectors.
mock_identity = {mock_identity}
"""


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
    if (folder / settings.FILE).exists():
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
    own = settings.read_values(folder, values)
    before(settings.read_values(folder, settings.with_environment(values)))
    made = {
        **_first_key(own),
        settings.SEAL_KEY: secrets.token_hex(KEY_BYTES).encode(),
        settings.MANAGEMENT_KEY: secrets.token_urlsafe(32).encode(),
    }
    write_folder(folder, _format(own).encode(), made, readable=not database)  # a URL has a password
    return settings.load(folder)


def _first_key(own: Settings) -> dict[str, bytes]:
    """Make the first signing key and return the file that says which it is."""
    token = settings.open_token(own)
    if token is None:
        return {key_files.FIRST_FILE: jose.SigningKey.generate(keyring.FIRST).dump_pem()}
    return {key_files.RING: key_files.first_ring(token.make(f"{own.participant_id}#{keyring.FIRST}"))}


def _participant_id(address: str) -> str:
    try:
        return did.format_did_web(address)
    except errors.IdentityError as error:
        raise errors.SettingsError(
            f"the address cannot be a did:web name: {error.message}", hint=error.hint
        ) from None


def _host(address: str) -> str:
    parts = settings.split_address(address)
    return (parts.hostname if parts else None) or address


def _default_listen(address: str) -> str:
    parts = settings.split_address(address)
    if parts is None:
        return "127.0.0.1:0"  # the address is refused before anything listens
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"127.0.0.1:{port}" if parts.hostname in {"localhost", "127.0.0.1"} else f"0.0.0.0:{port}"


def _default_roots(folder: Path) -> list[str]:
    folders = [folder / settings.RECEIVED]
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
        for each, mode in ((folder, 0o700), (folder / "keys", 0o700), (folder / settings.RECEIVED, 0o777)):
            descriptor.make_folder(str(each), mode)
        for name, key in keys.items():
            _put(folder / "keys" / name, key, mode=0o600)
        _put(folder / settings.FILE, content, mode=0o644 if readable else 0o600)
    except OSError as error:
        raise errors.SettingsError(f"{folder} cannot be written: {error.strerror}") from None


def _put(path: Path, content: bytes, *, mode: int) -> None:
    """Make a file whole or not at all: half a key, after a full disk, would be taken for a key later."""
    if not path.exists():  # never overwrite a key: what was sealed or signed with it would be lost
        descriptor.write_whole(path, content, mode)


def _format(own: Settings) -> str:
    tls = ""
    if own.tls_certificate:
        tls = f"tls_certificate = {quote(own.tls_certificate)}\ntls_key = {quote(own.tls_key)}\n"
    return TEMPLATE.format(
        participant_id=quote(own.participant_id),
        name=quote(own.name),
        address=quote(own.address),
        listen=quote(own.listen),
        management=quote(own.management),
        tls=tls,
        database=quote(own.database_url),
        token="".join(
            f"{name} = {quote(getattr(own, f'keys_{name}'))}\n"
            for name in settings.KEYS["keys"]
            if name == "hsm_module" or getattr(own, f"keys_{name}")
        ),
        roots=", ".join(quote(root) for root in own.roots),
        insecure=str(own.insecure).lower(),
        mock_identity=str(own.mock_identity).lower(),
    )


def quote(text: str) -> str:
    """Write a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
