"""A package on a medium as receiving knows packages: an endpoint that answers from what lies there.

`pull` then does here what it does with a partner's data plane: manifest, seal, files, every hash, and the rest after a
cut. Nothing goes over a network.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final

from comity.dataplane import fetch, serve
from comity.errors import ComityError, PermanentDeliveryError
from comity.storage import medium
from comity.storage.source import Source
from comity.techdata import manifest

ENDPOINT: Final = "medium:"
KIND: Final = "carried"


class _Response:
    """An answer of `serve` as `fetch` reads one."""

    def __init__(self, answer: serve.Answer) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = _Headers(answer.headers)
        self._body = answer.body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Body."""
        if isinstance(self._body, bytes):
            yield self._body
            return
        try:
            async with contextlib.aclosing(self._body) as body:
                async for chunk in body:
                    yield chunk
        except ComityError as error:
            raise _broken(error) from error

    async def close(self) -> None:
        """Let go of what is not read."""
        if isinstance(self._body, AsyncGenerator):
            await self._body.aclose()


class _Headers(dict[str, str]):
    """Header fields that are looked up without regard to case."""

    def __init__(self, fields: serve.Headers) -> None:
        super().__init__({name.lower(): value for name, value in fields})

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return a field."""
        return super().get(name.lower(), default)


class Carried:
    """A `fetch.Fetch` whose answers are a package on a medium."""

    def __init__(self, package: medium.Package, secret: bytes, data: bytes, seal: str) -> None:
        """Answer with a manifest's bytes `data`, its seal, and the files that the manifest names.

        Raises:
            InvalidInputError: the bytes are no manifest.
        """
        self._storages = {KIND: medium.Storage(package, secret)}
        self._grant = serve.Grant("", serve.package(data, sources(data), seal=seal))

    @contextlib.asynccontextmanager
    async def __call__(self, url: str, *, headers: Mapping[str, str]) -> AsyncGenerator[fetch.Response, None]:
        """Answer a GET.

        Raises:
            PermanentDeliveryError: what lies there is not what was written.
        """
        path = urllib.parse.unquote(url.removeprefix(ENDPOINT))
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            answer = await serve.answer(self._grant, "GET", path, lower, self._storages)
        except ComityError as error:
            if path.strip("/") == serve.SEAL:
                answer = serve.problem(404, error.code, error.message)
            else:
                raise _broken(error) from error
        response = _Response(answer)
        try:
            yield response
        finally:
            await response.close()


def sources(data: bytes) -> dict[str, Source]:
    """Return where the files of a manifest lie on a medium: each content once, by its number, from 1 on.

    Raises:
        InvalidInputError: the bytes are no manifest.
    """
    numbers: dict[str, int] = {}
    return {
        file.path: Source(
            kind=KIND,
            address=str(numbers.setdefault(file.sha256, len(numbers) + 1)),
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            media_type=file.media_type,
            name=file.path.rpartition("/")[2],
        )
        for file in manifest.decode(data).files
    }


def _broken(error: ComityError) -> PermanentDeliveryError:
    made = PermanentDeliveryError(error.message, hint=error.hint)
    made.code = error.code
    return made
