"""What an endpoint of the management API is given, and what it is.

An endpoint gets the id from its path, its body and its query parameters, and returns a document or nothing (204).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from comity.controlplane.connector import Connector

Document = dict[str, Any]


class Call(Struct, frozen=True):
    """A request: the id in its path, its body as an object (empty if there is none), its query parameters."""

    id: str
    body: Document
    parameters: dict[str, str]


Endpoint = Callable[[Connector, Call], Awaitable[Any]]
"""Returns the answer's document or list of documents, or None for an answer without a body (204)."""
