"""A folder is published: the connector hashes it, and says meanwhile how far it is; here that becomes a bar.

The answer comes when every file is hashed. How far it has come is asked beside it; a connector that cannot say is
waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comity import errors
from comity.cli import output, progress

if TYPE_CHECKING:
    from comity.client.connector import Connector

Document = dict[str, Any]
HASHING_TIMEOUT_S = 24 * 3600.0
POLL_S = 0.2


def publish(connector: Connector, folder: str, *, quiet: bool = False, **said: Any) -> Document:
    """Have a folder published, and show on a terminal how far it is.

    Raises:
        ComityError: what the connector answered.
    """

    def ask() -> Document:
        return connector.publish(folder, timeout_s=HASHING_TIMEOUT_S, **said)

    console = output.console(to_stderr=True)
    if quiet or not console.is_terminal:
        return ask()
    with progress.Hashing(console) as bar:
        return _watched(ask, lambda: _tell(connector, folder, bar))


def _watched(ask: Callable[[], Document], tell: Callable[[], None]) -> Document:
    """Return what `ask` returns, in a thread, and call `tell` meanwhile: here, so that a key ends it."""
    answered: list[Document] = []
    failed: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            answered.append(ask())
        except BaseException as error:  # noqa: BLE001  it is raised in the thread that waits
            failed.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    while not ended.wait(POLL_S):
        tell()
    if failed:
        raise failed[0]
    return answered[0]


def _tell(connector: Connector, folder: str, bar: progress.Hashing) -> None:
    try:
        found = connector.publishing()
    except errors.ComityError:
        return  # one that is older, or busy: the answer comes all the same
    for each in found:
        if each.get("folder") == folder:
            bar.tell(each)
