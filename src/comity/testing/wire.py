"""Records what passes between connectors in this process: an ear around a connector's public application.

It keeps the protocol's messages as they came and as they were answered, and of data only who asked, when, and the
digest of what was sent. Who sends a message is read from its token, which nobody checks here: the receiver did. A proxy
between two processes writes the same structs (`record.Message`, `record.Served`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any, Protocol

from comity import errors
from comity.api.dataplane import headers_of
from comity.dataplane import tokens
from comity.dsp import terms
from comity.identity import mock, verify
from comity.testing.record import Message, Served

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
EXCHANGES = ("/negotiations/", "/transfers/")
DATA, INBOX = "/data/", "/inbox/"


class _Digest(Protocol):
    def hexdigest(self) -> str: ...
    def update(self, data: bytes, /) -> None: ...


def now_ms() -> int:
    """Return the time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def sender_of(authorization: str | None) -> str:
    """Return who a token of the protocol claims to be from, empty if it says nothing that can be read."""
    try:
        if (authorization or "").lstrip().startswith("{"):
            return mock.parse(authorization)
        return verify.peek(verify.read_bearer(authorization)).issuer
    except errors.IdentityError:
        return ""


def token_digest(authorization: str | None) -> str:
    """Return the SHA-256 (hex) of the token of a request for data, empty if there is none."""
    try:
        return tokens.digest(tokens.read(authorization)).hex()
    except errors.IdentityError:
        return ""


class Recorder:
    """Keeps what the applications that it wraps were asked and answered, in the order in which it ended."""

    def __init__(self, clock: Callable[[], int] = now_ms) -> None:
        self.messages: list[Message] = []
        self.served: list[Served] = []
        self._clock = clock

    def wrap(self, application: ASGIApp, participant_id: str, *, prefix: str = "") -> ASGIApp:
        """Return `application` with an ear; `prefix` is the path of the participant's public address."""
        base = prefix + terms.VERSION_PATH

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "")
            if scope["type"] == "http" and path.startswith(tuple(base + each for each in EXCHANGES)):
                heard: _Heard = _HeardMessage(self, scope, participant_id, path.removeprefix(base))
            elif scope["type"] == "http" and path.startswith((prefix + DATA, prefix + INBOX)):
                heard = _HeardData(self, scope, participant_id, path.removeprefix(prefix))
            else:
                await application(scope, receive, send)
                return
            await heard.run(application, scope, receive, send)

        return app

    def now_ms(self) -> int:
        """Return the time as this recorder sees it."""
        return self._clock()


class _Heard:
    """One request, heard from both ends."""

    def __init__(self, recorder: Recorder, scope: Scope, participant_id: str, path: str) -> None:
        self.recorder, self.participant_id, self.path = recorder, participant_id, path
        self.method: str = scope["method"]
        self.authorization = headers_of(scope).get("authorization")
        self.at = recorder.now_ms()
        self.status: int | None = None
        self.complete = False

    async def run(self, application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> Any:
            event = await receive()
            if event["type"] == "http.request":
                self.came(event.get("body", b""))
            return event

        async def speak(event: Any) -> None:
            await send(event)
            if event["type"] == "http.response.start":
                self.status = event["status"]
            elif event["type"] == "http.response.body":
                self.went(event.get("body", b""))
                self.complete = not event.get("more_body", False)

        try:
            await application(scope, listen, speak)
        finally:
            self.end()

    def came(self, data: bytes) -> None: ...

    def went(self, data: bytes) -> None: ...

    def end(self) -> None: ...


class _HeardMessage(_Heard):
    def __init__(self, *known: Any) -> None:
        super().__init__(*known)
        self.body, self.answer = b"", b""

    def came(self, data: bytes) -> None:
        self.body += data

    def went(self, data: bytes) -> None:
        self.answer += data

    def end(self) -> None:
        self.recorder.messages.append(
            Message(
                at=self.at,
                sender=sender_of(self.authorization),
                receiver=self.participant_id,
                method=self.method,
                path=self.path,
                body=self.body,
                status=self.status if self.complete else None,
                answer=self.answer,
                answered_at=self.recorder.now_ms() if self.complete else None,
            )
        )


class _HeardData(_Heard):
    def __init__(self, *known: Any) -> None:
        super().__init__(*known)
        self.pushed = self.path.startswith(INBOX)
        self.size = 0
        self.digest: _Digest = sha256()

    def came(self, data: bytes) -> None:
        if self.pushed:
            self._take(data)

    def went(self, data: bytes) -> None:
        if not self.pushed and self.status in {200, 206}:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        self.digest.update(data)

    def end(self) -> None:
        transfer_id, _, rest = self.path.removeprefix(DATA).removeprefix(INBOX).partition("/")
        self.recorder.served.append(
            Served(
                at=self.at,
                until=self.recorder.now_ms(),
                provider="" if self.pushed else self.participant_id,
                receiver=self.participant_id if self.pushed else "",
                transfer_id=transfer_id,
                token_sha256=token_digest(self.authorization),
                path=rest,
                status=self.status or 0,
                size=self.size,
                sha256=self.digest.hexdigest(),
                whole=self.complete and self.status == 200 and self.method == "GET",  # noqa: PLR2004
                pushed=self.pushed,
            )
        )
