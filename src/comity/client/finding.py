"""Where the connector is, and which key opens its management API: one answer for the command and for programs.

What is given counts first; then COMITY_URL with COMITY_API_KEY, which is how a connector on another machine is named;
then a data folder: the one given, COMITY_DATA, or ./comity-data. A person's own key (COMITY_API_KEY) goes before that
of the folder, which is nobody's by name.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from comity import errors

if TYPE_CHECKING:
    from comity.settings import Settings

DATA, URL, API_KEY = "COMITY_DATA", "COMITY_URL", "COMITY_API_KEY"
DEFAULT_FOLDER = Path("comity-data")


class Place(NamedTuple):
    """A management API: its address, the key, and what to do when nobody answers there."""

    address: str
    api_key: str
    hint: str

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Place({self.address!r})"


def find(address: str = "", api_key: str = "", *, data: str | Path | None = None, hint: str = "") -> Place:
    """Find the connector.

    Raises:
        SettingsError: there is none, or no key for it.
    """
    elsewhere = os.environ.get(URL, "") if not address and data is None else ""
    if not address and not elsewhere:
        return _of_folder(Path(data or os.environ.get(DATA) or DEFAULT_FOLDER), api_key, hint)
    hint = hint or (f"is it running there? {URL} names it" if elsewhere else "start it with: comity serve")
    address = address or elsewhere
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise errors.SettingsError(f"{address!r} is no address of a management API: http://host:port is")
    key = api_key or os.environ.get(API_KEY, "")
    if not key:
        raise errors.SettingsError(
            f"there is no key for the connector at {address}",
            hint=f"put it into {API_KEY}; an admin makes one with: comity apikey add",
        )
    return Place(address.rstrip("/"), key, hint)


def _of_folder(folder: Path, api_key: str, hint: str) -> Place:
    found = settings(folder)
    key = api_key or os.environ.get(API_KEY) or found.management_key
    return Place(found.management_address, key, hint or f"start it with: {command(folder, 'serve')}")


def settings(folder: Path) -> Settings:
    """Read the settings of a data folder.

    Raises:
        SettingsError: there is no connector in it, or its settings are wrong.
    """
    from comity import settings as files  # noqa: PLC0415  start-up time: brings the cryptography along

    try:
        return files.load(folder)
    except errors.SettingsError as error:
        if not (folder / files.FILE).exists():
            error.hint += f"; or name its folder with --data or {DATA}, or a connector elsewhere with {URL}"
        raise


def command(folder: Path, *words: str) -> str:
    """Return a command line that a person can run next, naming the data folder where it must be named."""
    usual = Path(os.environ.get(DATA) or DEFAULT_FOLDER)
    named = () if folder.absolute() == usual.absolute() else ("--data", str(folder))
    return shlex.join(["comity", *words, *named])
