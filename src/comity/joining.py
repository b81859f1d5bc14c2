"""The settings that replicas on one PostgreSQL database have in common, and the data folder of a further one.

A further replica is given the settings of the one that was started last, all keys, and the URL; `seal.key`, which opens
what is in the database, is given by its operator. Where a replica listens is its own business.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from comity import data_folder, errors, settings
from comity.settings import Settings

log = logging.getLogger(__name__)


def join(  # noqa: PLR0913  what a folder is made of
    folder: Path,
    *,
    database: str,
    seal_key: bytes,
    shared: bytes,
    keys: Mapping[str, bytes],
    listen: str = "",
    management: str = "",
) -> Settings:
    """Make the data folder of a further replica on a database, of what is `shared` there, and return its settings.

    Raises:
        SettingsError: the folder holds a connector already, or another key, or a value is wrong; nothing was written.
        StorageError: the keys cannot be written.
    """
    folder = folder.absolute()
    if (folder / settings.FILE).exists():
        raise errors.SettingsError(
            f"{folder} holds a connector already",
            hint=f"start it with: comity serve --data {shlex.quote(str(folder))}",
        )
    values, management_key = _unshared(shared)
    values["database"] = {"url": database}
    values["public"]["listen"] = listen or values["public"]["listen"]
    values["management"]["listen"] = management or values["management"]["listen"]
    text = "# Comity: a further replica. Documented in docs/reference/settings.md; restart after a change.\n"
    for section, keys_of in values.items():
        text += f"\n[{section}]\n" + "".join(f"{name} = {_toml(value)}\n" for name, value in keys_of.items())
    settings.read_text(folder, text.encode())
    mine = {settings.SEAL_KEY: seal_key.hex().encode(), settings.MANAGEMENT_KEY: management_key.encode()}
    _check_keys(folder / "keys", {**mine, **keys})
    data_folder.write_folder(folder, text.encode(), {**mine, **keys}, readable=False)
    return settings.load(folder)


def _check_keys(folder: Path, keys: Mapping[str, bytes]) -> None:
    """Refuse keys of something else: they are never overwritten, and a replica with them would be another connector."""
    for name, key in keys.items():
        path = folder / name
        if path.exists() and path.read_bytes().strip() != key.strip():
            raise errors.SettingsError(
                f"{path} is there already, and is not the one that the other replicas have",
                hint="name another folder with --data, or move that file away if nothing needs it",
            )


def share(own: Settings) -> bytes:
    """Return what a further replica needs to have of these settings: all but the database's URL."""
    return msgspec.json.encode((_values(own), own.management_key))


def differs(own: Settings, shared: bytes) -> bool:
    """Return whether other settings were shared last, and say in which; a replica may listen where it likes.

    Raises:
        SettingsError: they are another connector's.
    """
    mine, theirs = _values(own), _unshared(shared)[0]
    if theirs["participant"]["id"] != own.participant_id:
        raise errors.SettingsError(
            f"the database is that of {theirs['participant']['id']}, and this data folder that of"
            f" {own.participant_id}"
        )
    if _unshared(shared)[1] != own.management_key:
        log.warning("keys/management.key is another one than other replicas have")
        return True
    other = [
        f"{section}.{name}"
        for section, keys in mine.items()
        for name, value in keys.items()
        if name != "listen" and theirs.get(section, {}).get(name) != value
    ]
    if other:
        log.warning("other replicas have been started with other settings: %s", ", ".join(other))
    return bool(other)


def _unshared(shared: bytes) -> tuple[dict[str, Any], str]:
    return msgspec.json.decode(shared, type=tuple[dict[str, Any], str])


def _values(own: Settings) -> dict[str, dict[str, Any]]:
    """Return the settings as the file has them, without the database."""
    files = {"tls_certificate": own.tls_certificate, "tls_key": own.tls_key}
    return {
        "participant": {"id": own.participant_id, "name": own.name},
        "public": {"address": own.address, "listen": own.listen}
        | {name: path for name, path in files.items() if path},
        "management": {"listen": own.management},
        "keys": {name: value for name in settings.KEYS["keys"] if (value := getattr(own, f"keys_{name}"))},
        "storage": {"roots": list(own.roots), "shred_after_days": own.storage_shred_after_days}
        | ({"kept": own.storage_kept} if own.storage_kept else {}),
        "outgoing": {"allow": list(own.allow)} | ({"ca_file": own.ca_file} if own.ca_file else {}),
        "events": {"keep_days": own.events_keep_days},
        "evidence": {name: getattr(own, f"evidence_{name}") for name in settings.KEYS["evidence"]},
        "frameworks": {name: getattr(own, f"frameworks_{name}") for name in settings.KEYS["frameworks"]},
        "limits": {name: getattr(own, f"limits_{name}") for name in settings.KEYS["limits"]},
        "transfers": {name: getattr(own, f"transfers_{name}") for name in settings.KEYS["transfers"]},
        "development": {"insecure": own.insecure, "mock_identity": own.mock_identity},
        **{f"buckets.{each.name}": each.written() for each in own.buckets},
    }


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(data_folder.quote, value))}]"
    return data_folder.quote(value) if isinstance(value, str) else str(value).lower()
