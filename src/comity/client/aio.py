"""The transport of `AsyncConnector`: aiohttp, loaded only here.

It takes the same steps as `blocking`. Files are written in threads, so that the event loop is free meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import aiohttp
from yarl import URL

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
_FAILED = (OSError, aiohttp.ClientError)


class Operation(Generic[P, T]):
    """A method of a transport, from its description."""

    def __init__(self, describe: Callable[P, Steps[T]]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, transport: None, owner: type) -> Callable[P, Steps[T]]: ...
    @overload
    def __get__(self, transport: Transport, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, transport: Transport | None, owner: type) -> Callable[P, Any]:
        """Return it, bound to its transport."""
        if transport is None:
            return self.describe

        @functools.wraps(self.describe)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            return await transport.run(self.describe(*args, **kwargs))

        return run


class Streaming:
    """An answer while it comes: its status, its headers by their names in small letters, its bytes in pieces."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self.headers = _small(answer.headers)
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.content.iter_chunked(parts.CHUNK_BYTES):
            yield chunk

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield whole lines, each with its end."""
        rest = b""
        async for chunk in self._answer.content.iter_any():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line + b"\n"


class Transport:
    """Takes steps to a connector, one after the other; close it, or use it in `async with`.

    Its connections belong to one event loop; when that has ended, it opens others in the next.
    """

    def __init__(
        self, place: finding.Place, *, timeout_s: float, trace: bool | tracing.Trace | None = None
    ) -> None:
        self.place = place
        self.address = place.address
        self._timeout_s = timeout_s
        self._trace = tracing.choose(trace)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def close(self) -> None:
        """Close its connections; nothing can be asked with it any more."""
        self._closed = True
        self._leave_loop()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def drop(self) -> None:
        """Close its connections where their event loop does not run any more."""
        if self._session is not None and self._session.connector is not None:
            self._session.connector._close()  # noqa: SLF001  no public way is left without its loop
            self._session = None

    async def __aenter__(self) -> Self:
        self._closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, steps: Steps[T]) -> T:
        """Take all steps of an operation and return its result.

        Raises:
            ComityError: what went wrong.
        """
        with contextlib.closing(iter(steps)) as going:  # what it holds is let go of, whatever happens
            try:
                step = next(going)
                while True:
                    try:
                        answer = await self._take(step)
                    except errors.ComityError as error:
                        step = going.throw(error)
                    else:
                        step = going.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result

    async def _take(self, step: Step) -> Any:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return time.monotonic()
        if isinstance(step, Removals):
            return await _in_thread(parts.remove, step)
        if isinstance(step, Look):
            return await _in_thread(placing.look, step)
        if isinstance(step, Downloads):
            return await self._download_all(step.files)
        return await self._send(step)

    async def _send(self, call: Call[Any]) -> Any:
        limit_s = call.timeout_s or self._timeout_s
        got = await self._whole(call.method, call.path, call.headers, call.sent, limit_s)
        return call.answer(got.status, got.content, self.address)

    async def fetch(
        self, path: str, headers: Mapping[str, str] | None = None, *, timeout_s: float | None = None
    ) -> Fetched:
        """Send a GET below `/management/v3/` and return the answer's bytes.

        Raises:
            UnreachableError: nobody answers there, or the connection broke.
            ComityError: what the connector answered.
        """
        got = await self._whole("GET", path, headers or {}, None, timeout_s or self._timeout_s)
        if got.status >= REDIRECT:
            raise problems.read(got.status, got.content, address=self.address)
        return got

    async def head(self, path: str) -> Fetched:
        """Send a HEAD below `/management/v3/` and return status and headers, also those of a refusal.

        Raises:
            UnreachableError: nobody answers there, or the connection broke.
        """
        return await self._whole("HEAD", path, {}, None, self._timeout_s)

    async def _whole(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> Fetched:
        limit = aiohttp.ClientTimeout(total=timeout_s)
        async with self._exchange(method, path, headers, body, limit) as (answer, asked):
            content = await answer.read()
            asked.answered(answer.status, content)
            return Fetched(answer.status, _small(answer.headers), content)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str] | None = None, *, timeout_s: float | None = None
    ) -> AsyncIterator[Streaming]:
        """Send a GET below `/management/v3/` and hand over the answer while it comes; `timeout_s` limits each wait.

        Raises:
            UnreachableError: nobody answers there, or the connection broke.
            ComityError: what the connector answered.
        """
        each_s = timeout_s or self._timeout_s
        limit = aiohttp.ClientTimeout(total=None, sock_connect=each_s, sock_read=each_s)
        async with self._exchange("GET", path, headers or {}, None, limit) as (answer, asked):
            if answer.status >= REDIRECT:
                content = await answer.read()
                asked.answered(answer.status, content)
                raise problems.read(answer.status, content, address=self.address)
            asked.answered(answer.status)
            yield Streaming(answer)

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: aiohttp.ClientTimeout,
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, tracing.Asked]]:
        asked = tracing.Asked(self._trace, method, path)
        sent = {"X-Api-Key": self.place.api_key, "Accept-Encoding": "identity", **headers}
        where = URL(f"{self.address}/{BASE}/{path}", encoded=True)
        try:
            async with self._opened().request(
                method, where, data=body, headers=sent, timeout=limit, allow_redirects=False
            ) as answer:
                yield answer, asked
        except TimeoutError:
            asked.failed("no answer in time")
            raise problems.UnreachableError(
                f"the connector at {self.address} did not answer within {limit.total or limit.sock_read:g} s",
                hint="its log says what it is doing; what was asked may have happened",
            ) from None
        except _FAILED as error:
            asked.failed(type(error).__name__)
            raise problems.UnreachableError(
                f"the connector at {self.address} cannot be reached: {_why(error)}", hint=self.place.hint
            ) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise errors.ConflictError(
                "this AsyncConnector is closed",
                hint="use it inside of its `async with`, or make a new one",
            )
        self._leave_loop()
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
            self._loop = asyncio.get_running_loop()
        return self._session

    def _leave_loop(self) -> None:
        """Drop the connections of an event loop that has ended."""
        if self._session is None or self._loop is asyncio.get_running_loop():
            return
        if self._loop is not None and not self._loop.is_closed():
            raise errors.ConflictError(
                "this AsyncConnector is used in another event loop", hint="make one for each event loop"
            )
        self.drop()

    # Files

    async def _download_all(self, files: tuple[Download, ...]) -> None:
        """Fetch files, some at once; the first failure ends the others."""
        left = iter(files)

        async def work() -> None:
            for wanted in left:
                await self._download(wanted)

        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(parts.AT_ONCE, len(files))):
                    group.create_task(work())
        except* errors.ComityError as several:
            failed = several.exceptions[0]
        if failed is not None:
            raise failed

    async def _download(self, wanted: Download) -> None:
        part = parts.Part(wanted)
        try:
            headers = await _in_thread(part.begin)
            while headers is not None:
                if not part.is_whole:
                    async with self.stream(wanted.source, headers) as answer:
                        part.answered(answer.status)
                        async for chunk in answer:
                            await _in_thread(part.write, chunk)
                headers = await _in_thread(part.finish)
        finally:
            part.close()


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what blocks in a thread; if cancelled, wait until it has let go of the file."""
    bound = functools.partial(call, *args, **kwargs)
    running = asyncio.get_running_loop().run_in_executor(None, bound)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _small(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
