"""The transport of `Connector`: the standard library's HTTP client, so that a command starts fast.

No redirects, no proxies from the environment, no event loop: it works where one is running already, as in a notebook.
Requests have a connection each, of files that are fetched one after the other only the first: nothing is left open.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, overload
from urllib.parse import urlsplit

from comity import errors
from comity.client import finding, parts, placing, problems, tracing
from comity.client.steps import (
    BASE,
    REDIRECT,
    Call,
    Download,
    Downloads,
    Fetched,
    Look,
    Pause,
    Removals,
    Step,
    Steps,
)

P = ParamSpec("P")
T = TypeVar("T")
_FAILED = (OSError, http.client.HTTPException)


class Operation(Generic[P, T]):
    """A method of a transport, from its description."""

    def __init__(self, describe: Callable[P, Steps[T]]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, transport: None, owner: type) -> Callable[P, Steps[T]]: ...
    @overload
    def __get__(self, transport: Transport, owner: type) -> Callable[P, T]: ...
    def __get__(self, transport: Transport | None, owner: type) -> Callable[P, Any]:
        """Return it, bound to its transport."""
        if transport is None:
            return self.describe

        @functools.wraps(self.describe)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            return transport.run(self.describe(*args, **kwargs))

        return run


class Transport:
    """Takes steps to a connector, one after the other."""

    def __init__(
        self, place: finding.Place, *, timeout_s: float, trace: bool | tracing.Trace | None = None
    ) -> None:
        self.place = place
        self.address = place.address
        self._parts = urlsplit(place.address)
        self._timeout_s = timeout_s
        self._trace = tracing.choose(trace)

    def run(self, steps: Steps[T]) -> T:
        """Take all steps of an operation and return its result.

        Raises:
            ComityError: what went wrong.
        """
        with contextlib.closing(iter(steps)) as going:  # what it holds is let go of, whatever happens
            try:
                step = next(going)
                while True:
                    try:
                        answer = self._take(step)
                    except errors.ComityError as error:
                        step = going.throw(error)
                    else:
                        step = going.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result

    def _take(self, step: Step) -> Any:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return time.monotonic()
        if isinstance(step, Removals):
            return parts.remove(step)
        if isinstance(step, Look):
            return placing.look(step)
        if isinstance(step, Downloads):
            return self._download_all(step.files)
        return self._send(step)

    def _send(self, call: Call[Any]) -> Any:
        limit_s = call.timeout_s or self._timeout_s
        with self._exchange(call.method, call.path, call.headers, call.sent, limit_s) as (answer, asked):
            body = _read(answer, asked)
            return call.answer(answer.status, body, self.address)

    def fetch(
        self, path: str, headers: dict[str, str] | None = None, *, timeout_s: float | None = None
    ) -> Fetched:
        """Send a GET below `/management/v3/` and return the answer's bytes.

        Raises:
            UnreachableError: nobody answers there, or the connection broke.
            ComityError: what the connector answered.
        """
        limit_s = timeout_s or self._timeout_s
        with self._exchange("GET", path, headers or {}, None, limit_s) as (answer, asked):
            body = _read(answer, asked)
            if answer.status >= REDIRECT:
                raise problems.read(answer.status, body, address=self.address)
            return Fetched(answer.status, _small(answer), body)

    @contextlib.contextmanager
    def stream(
        self, path: str, headers: dict[str, str], *, timeout_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a GET below `/management/v3/` and hand over the answer while it comes; `timeout_s` limits each wait.

        Raises:
            UnreachableError: nobody answers there, or the connection broke.
            ComityError: what the connector answered.
        """
        with self._exchange("GET", path, headers, None, timeout_s) as (answer, asked):
            if answer.status >= REDIRECT:
                raise problems.read(answer.status, _read(answer, asked), address=self.address)
            asked.answered(answer.status)
            yield answer

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, timeout_s: float
    ) -> Iterator[tuple[http.client.HTTPResponse, tracing.Asked]]:
        """Send one request on a connection of its own."""
        asked = tracing.Asked(self._trace, method, path)
        connection = self._connection(timeout_s)
        try:
            self._ask(connection, method, path, headers, body)
            yield connection.getresponse(), asked
        except TimeoutError:
            asked.failed(f"not within {timeout_s:g} s")
            raise problems.UnreachableError(
                f"the connector at {self.address} did not answer within {timeout_s:g} s",
                hint="its log says what it is doing; what was asked may have happened",
            ) from None
        except _FAILED as error:
            asked.failed(type(error).__name__)
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
    ) -> None:
        where = f"{self._parts.path.rstrip('/')}/{BASE}/{path}"
        connection.request(method, where, body, {"X-Api-Key": self.place.api_key, **headers})

    # Files

    def _download_all(self, files: tuple[Download, ...]) -> None:
        """Fetch files, some at once; the first failure keeps the others from beginning."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  start-up time

        left = deque(files)

        def work() -> None:
            with contextlib.closing(self._connection(self._timeout_s)) as connection:
                try:
                    while left:
                        with contextlib.suppress(IndexError):  # another took the last
                            self._download(connection, left.popleft())
                finally:
                    left.clear()

        with ThreadPoolExecutor(parts.AT_ONCE, thread_name_prefix="comity-file") as pool:
            try:
                for done in [pool.submit(work) for _ in range(min(parts.AT_ONCE, len(files)))]:
                    done.result()
            finally:
                left.clear()

    def _download(self, connection: http.client.HTTPConnection, wanted: Download) -> None:
        part = parts.Part(wanted)
        try:
            headers = part.begin()
            while headers is not None:
                if not part.is_whole:
                    self._receive(connection, wanted, part, headers)
                headers = part.finish()
        finally:
            part.close()

    def _receive(
        self,
        connection: http.client.HTTPConnection,
        wanted: Download,
        part: parts.Part,
        headers: dict[str, str],
    ) -> None:
        asked = tracing.Asked(self._trace, "GET", wanted.source)
        try:
            answer = self._begin(connection, wanted.source, headers)
            if answer.status >= REDIRECT:
                raise problems.read(answer.status, _read(answer, asked), address=self.address)
            asked.answered(answer.status)
            part.answered(answer.status)
            while chunk := answer.read(parts.CHUNK_BYTES):
                part.write(chunk)
            if not part.is_whole:
                raise http.client.IncompleteRead(b"")
        except _FAILED as error:
            asked.failed(type(error).__name__)
            raise self._unreachable(error) from None

    def _begin(
        self, connection: http.client.HTTPConnection, path: str, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        """Ask on a connection that was used before; if it was closed meanwhile, on a new one."""
        try:
            self._ask(connection, "GET", path, headers, None)
            return connection.getresponse()
        except (ConnectionError, http.client.HTTPException):
            connection.close()  # it opens anew by itself
            self._ask(connection, "GET", path, headers, None)
            return connection.getresponse()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, self._parts.port, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(host, self._parts.port, timeout=timeout_s)

    def _unreachable(self, error: Exception) -> problems.UnreachableError:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        return problems.UnreachableError(
            f"the connector at {self.address} cannot be reached: {why}", hint=self.place.hint
        )


def _read(answer: http.client.HTTPResponse, asked: tracing.Asked) -> bytes:
    body = answer.read()
    asked.answered(answer.status, body)
    return body


def _small(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}
