"""The inbox: pushes to us below /inbox/{transfer id}, as an ASGI application.

POST or PUT with a whole body, as most connectors push; HEAD and PATCH of the core of tus 1.0 for what is to go on after
a cut. Who reads Comity-Ahead in an answer may send files, and blocks of one file, side by side. It moves bytes from the
wire to `controlplane.receiving` and turns errors into answers. The token travels in the Authorization header; what a
request names, and whether it may, is decided before a byte of its body is read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from comity import errors
from comity.api import dataplane as wire
from comity.controlplane.receiving import Admitted, Receiving
from comity.dataplane import disk, flows, inbox, serve, tokens, uploads
from comity.storage import opening

METHODS: Final = ("HEAD", "PATCH", "POST", "PUT", "OPTIONS")
ENCODING: Final = "a push in a Content-Encoding is not taken"
RANGE: Final = "a part of something is not taken with Content-Range: send it with PATCH, as tus 1.0 says"
_NUMBER = re.compile(r"[0-9]{1,18}")
_TUS: Final = (("Tus-Resumable", uploads.TUS), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: _Body


def application(receiving: Receiving, *, open_flows: flows.Flows) -> ASGIApp:
    """Make the application; `open_flows` cuts what is revoked and what does not move."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        transfer_id, path = wire.parts_of(scope, "")
        try:
            async with open_flows.open(transfer_id) as flow:
                request = _Request(scope["method"], path, wire.headers_of(scope), _Body(receive, flow))
                reply = await _answer(receiving, open_flows, flow, request)
        except errors.PolicyError as error:
            reply = await _why_cut(receiving, flow, request, error)
        except errors.ComityError as error:
            reply = problem(error)
        await wire.send_whole(reply, send)

    return app


async def _why_cut(
    receiving: Receiving, flow: flows.Flow, request: _Request, error: errors.PolicyError
) -> serve.Answer:
    """Answer a request that was cut: a sender must not take a pause, or our stopping, for the end of its transfer."""
    if flow.ending != "cut":
        return problem(error)
    try:
        await receiving.admit(
            flow.transfer_id, tokens.digest(tokens.read(request.headers.get("authorization")))
        )
    except errors.ComityError as reason:
        return problem(reason)
    return serve.problem(503, "stopped", "the receiver stopped this request", (("Retry-After", "2"),))


async def _answer(
    receiving: Receiving, open_flows: flows.Flows, flow: flows.Flow, request: _Request
) -> serve.Answer:
    if request.method == "OPTIONS":
        return serve.Answer(204, (("Tus-Version", uploads.TUS), ("Allow", ", ".join(METHODS)), *_TUS))
    if request.method not in METHODS:
        return serve.Answer(405, (("Allow", ", ".join(METHODS)), ("Content-Length", "0")))
    digest = tokens.digest(tokens.read(request.headers.get("authorization")))
    admitted = await receiving.admit(flow.transfer_id, digest)
    if open_flows.crowded(flow.transfer_id):
        raise errors.ConflictError("too many requests of this transfer are open")
    flow.watch(lambda: receiving.still_open(flow.transfer_id, digest))
    offset = _number(request.headers, "upload-offset") if request.method == "PATCH" else None
    block = offset if uploads.AHEAD.lower() in request.headers else None
    async with receiving.turn(flow.transfer_id, request.path, flow, block=block):
        admitted = await receiving.admit(flow.transfer_id, digest)
        if request.method == "HEAD":
            return _stand(await receiving.stand(admitted, request.path), 200, receiving.ahead_bytes)
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise errors.InvalidInputError(ENCODING)
        if request.method == "PATCH":
            return await _take_rest(receiving, admitted, request, offset, waits=block is not None)
        if "content-range" in request.headers:  # RFC 9110, 14.5: taken for the whole it would destroy
            raise errors.InvalidInputError(RANGE)
        total = _number(request.headers, "content-length")
        _, sha256 = await receiving.take(admitted, request.path, _sent(request, None, total))
        return _taken(sha256, _ahead(receiving.ahead_bytes))


async def _take_rest(
    receiving: Receiving, admitted: Admitted, request: _Request, offset: int | None, *, waits: bool
) -> serve.Answer:
    """Take a PATCH: the rest of something, or a further part of it."""
    if request.headers.get("tus-resumable") != uploads.TUS:
        return serve.problem(
            412, "version", "PATCH is that of tus 1.0.0", (("Tus-Version", uploads.TUS), *_TUS)
        )
    if request.headers.get("content-type") != uploads.OFFSET_TYPE:
        return serve.problem(415, "media-type", f"PATCH has the Content-Type {uploads.OFFSET_TYPE}", _TUS)
    if offset is None:
        raise inbox.OffsetError((await receiving.stand(admitted, request.path)).offset)
    sent = _sent(request, offset, _number(request.headers, "upload-length"), waits=waits)
    stand, sha256 = await receiving.take(admitted, request.path, sent)
    if not sha256:
        return _stand(stand, 204, 0)
    return _taken(sha256, (("Upload-Offset", str(stand.offset)), *_TUS))


def _sent(request: _Request, offset: int | None, total: int | None, *, waits: bool = False) -> inbox.Sent:
    headers = request.headers
    return inbox.Sent(
        offset,
        total,
        headers.get("repr-digest", ""),
        headers.get("content-disposition", ""),
        request.body.chunks(),
        request.body.is_over,
        _number(headers, "content-length"),
        headers.get(uploads.SEAL.lower(), ""),
        waits,
    )


def _stand(stand: inbox.Stand, status: int, ahead_bytes: int) -> serve.Answer:
    known = stand.total_bytes is not None
    length = ("Upload-Length", str(stand.total_bytes)) if known else ("Upload-Defer-Length", "1")
    told = (("Upload-Offset", str(stand.offset)), length, *_ahead(ahead_bytes), *_TUS)
    return serve.Answer(status, told)


def _ahead(size_bytes: int) -> serve.Headers:
    return ((uploads.AHEAD, str(size_bytes)),) if size_bytes else ()


def _taken(sha256: str, extra: serve.Headers = ()) -> serve.Answer:
    return serve.Answer(204, (("Repr-Digest", uploads.digest_header(sha256)), *extra))


def _number(headers: dict[str, str], name: str) -> int | None:
    told = headers.get(name, "")
    return int(told) if _NUMBER.fullmatch(told) else None


class _Body:
    """A request's body as it comes; `ended` once all of it is here."""

    def __init__(self, receive: Receive, flow: flows.Flow) -> None:
        self._receive = receive
        self._flow = flow
        self.ended = False

    def is_over(self) -> bool:
        """Say whether all of it has come."""
        return self.ended

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body.

        Raises:
            TransientDeliveryError: its sender has gone before it was whole.
        """
        while not self.ended:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise errors.TransientDeliveryError("the sender has gone")
            chunk = event.get("body", b"")
            self.ended = not event.get("more_body", False)
            self._flow.bytes_sent += len(chunk)
            if chunk:
                yield chunk


_PROBLEMS: Final[tuple[tuple[type[errors.ComityError], int, str, serve.Headers], ...]] = (
    (errors.IdentityError, 401, "", (("WWW-Authenticate", "Bearer"),)),
    (errors.PolicyError, 403, "", ()),
    (errors.NotFoundError, 404, "", ()),
    (inbox.MismatchError, uploads.MISMATCH, "", ()),
    (errors.ConflictError, 423, "", (("Retry-After", "5"),)),
    (errors.InvalidInputError, 400, "", ()),
    (errors.TransientDeliveryError, 400, "", ()),
    (errors.PermanentDeliveryError, 422, "", ()),
    (errors.StorageError, 422, "the receiver cannot take this", ()),
    (errors.DatabaseError, 503, "try again", (("Retry-After", "2"),)),
    (errors.ComityError, 500, "this request could not be answered", ()),
)


def problem(error: errors.ComityError) -> serve.Answer:
    """Turn an error into the answer a sender gets: what to do about it, and nothing about our folders."""
    if isinstance(error, inbox.OffsetError):
        where = (("Upload-Offset", str(error.offset)), *_TUS)
        return serve.problem(uploads.CONFLICT, error.code, error.message, where)
    if error.code == disk.DISK_FULL:
        return serve.problem(
            507, error.code, "the receiver has no room for this now", (("Retry-After", "60"),)
        )
    if error.code == opening.AWAY:
        return serve.problem(503, error.code, "the receiver cannot take this now", (("Retry-After", "10"),))
    status, message, extra = next(row[1:] for row in _PROBLEMS if isinstance(error, row[0]))
    return serve.problem(status, error.code, message or error.message, extra)
