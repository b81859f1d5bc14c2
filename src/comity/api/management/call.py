"""What an endpoint of the management API is given, what it is, and the row of the table that says all else of it.

An endpoint gets the id from its path, its body and its query parameters, and returns a document, a list of them, or
nothing (204); one that streams returns a response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from comity import errors
from comity.api import problems
from comity.controlplane.connector import Connector
from comity.management import roles, versions
from comity.management.versions import Version

Document = dict[str, Any]
MAX_AFTER = 2**63 - 1
MAX_DIGITS = 20


class Call(Struct, frozen=True):
    """A request: the id in its path, its body as an object (empty if there is none), its query parameters.

    `version` is the API's version that the path names, `caller` the name of the API key (empty: the data folder's) and
    `role` its role; `holds` says whether the key still opens this endpoint. `headers` by their names in lower case.
    `method` and `path`, that of a file of what the id names, are for endpoints that hand out bytes.
    """

    id: str
    body: Document
    parameters: dict[str, str]
    version: Version = versions.UNNAMED
    caller: str = ""
    headers: Mapping[str, str] = {}
    role: str = roles.VIEWER
    holds: Callable[[], Awaitable[bool]] | None = None
    method: str = "GET"
    path: str = ""


def require(call: Call, role: str) -> None:
    """Refuse a request that needs more than its endpoint does.

    Raises:
        RoleError: the role of its key does not suffice.
    """
    if not roles.suffices(call.role, role):
        raise problems.RoleError(call.role, role)


def check_secrets(call: Call, named: Iterable[str]) -> None:
    """Refuse the names of secrets from whoever may not see these: their values would go where the caller says.

    Raises:
        RoleError: a name is given, and not by an admin.
    """
    if any(named):
        require(call, roles.ADMIN)


def number(call: Call, name: str, default: int, most: int, *, least: int = 0) -> int:
    """Return a query parameter that is a whole number.

    Raises:
        InvalidInputError: it is not, or not from `least` to `most`.
    """
    text = call.parameters.get(name)
    return default if text is None else whole(text, name, most, least=least)


def whole(text: str, name: str, most: int, *, least: int = 0) -> int:
    """Return a text as a whole number; `name` is said where it is none.

    Raises:
        InvalidInputError: it is not a number from `least` to `most`.
    """
    plain = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if not plain or not least <= int(text) <= most:
        raise errors.InvalidInputError(f"{name} must be a number from {least} to {most}", path=f"$.{name}")
    return int(text)


Endpoint = Callable[[Connector, Call], Awaitable[Any]]
"""Returns the answer's document or list of documents, or None for an answer without a body (204)."""


class Row(Struct, frozen=True):
    """A row of the table of endpoints; see `endpoints` for what each field means."""

    run: Endpoint
    role: str
    takes: str = ""
    gives: str = ""
    errors: str = ""
    creates: type | None = None
    versions: frozenset[str] | None = None
    parameters: tuple[str, ...] = ()

    def is_in(self, version: Version) -> bool:
        """Return whether a version of the API has this endpoint."""
        return self.versions is None or version.name in self.versions
