"""What a client wants done, as values: one request, a pause, files to fetch; and operations made of them.

An operation is described once, as a `Call` or a generator of steps, and knows no transport: `blocking` and `aio` take
its steps one after the other, send the answers in and raise in it what went wrong. So the same description serves
`Connector` and `AsyncConnector`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from comity.client import problems

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Document = dict[str, Any]
BASE = "management/v3"
REDIRECT, REFUSED = 300, 400


class Call(Generic[T]):
    """One request below `/management/v3/`; `read` makes the result of the JSON that answers it (None for nothing).

    `timeout_s` is None for the client's own; `raw` asks for the answer's bytes as they come.
    """

    __slots__ = ("body", "method", "path", "raw", "read", "timeout_s")

    def __init__(  # noqa: PLR0913  a request has these members
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        read: Callable[[Any], T],
        timeout_s: float | None = None,
        raw: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.body = body
        self.read = read
        self.timeout_s = timeout_s
        self.raw = raw

    def __iter__(self) -> Generator[Step, Any, T]:
        """Be an operation of one step."""
        return self.read((yield self))

    @property
    def sent(self) -> bytes | None:
        """The bytes of its body."""
        return json.dumps(self.body, allow_nan=False).encode() if self.body is not None else None

    @property
    def headers(self) -> dict[str, str]:
        """What is said with it; the key is the transport's."""
        kind = {} if self.body is None else {"Content-Type": "application/json"}
        return {"Accept": "application/json", **kind}

    def answer(self, status: int, body: bytes, address: str) -> Any:
        """Return what an answer says: JSON, None where it has none, its bytes if they are wanted.

        Raises:
            ComityError: what the connector answered.
            UnreachableError: what answers is no connector.
        """
        if status >= REFUSED:
            raise problems.read(status, body, address=address)
        if status >= REDIRECT:
            raise problems.read(status, b"", address=address)
        if self.raw or not body:
            return body if self.raw else None
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if value is None:
            raise problems.read(status, b"", address=address)
        return value


class Pause(NamedTuple):
    """Wait so long; the answer is the time of a clock that never goes back, in seconds."""

    seconds: float = 0.0


class Download(NamedTuple):
    """One file to fetch into `target`: from where, its size and SHA-256 (hex); `told` hears of each new byte."""

    source: str
    target: str
    size_bytes: int
    sha256: str
    told: Callable[[int], object]


class Downloads(NamedTuple):
    """Files to fetch, some at once; what is there already and right is not fetched again."""

    files: tuple[Download, ...]


class Removals(NamedTuple):
    """Files below a folder to remove if they are as they were fetched; the answer is the targets that are not."""

    folder: str
    files: tuple[Download, ...]


class Look(NamedTuple):
    """Look which of the files of a locked folder are missing, before one is fetched; the answer is those.

    What was not received there is replaced only to `overwrite` it.
    """

    folder: str
    files: tuple[Download, ...]
    overwrite: bool


Step = Call[Any] | Pause | Downloads | Removals | Look


Flow = Generator[Step, Any, T]
"""An operation of several steps."""


class Steps(Protocol[T_co]):
    """An operation, be it a `Call` or a `Flow`: its steps one after the other, and its result."""

    def __iter__(self) -> Generator[Step, Any, T_co]:
        """Begin it."""


class Fetched(NamedTuple):
    """An answer in bytes, with its headers by their names in small letters."""

    status: int
    headers: dict[str, str]
    content: bytes
