"""What each fault does with one message; the plan says which, `http` how it is put on the wire.

An act passes the message on as often as its fault says and returns the answer that the sender gets, if any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from multidict import CIMultiDict

from comity.testing.chaos import plan
from comity.testing.chaos.http import Reply
from comity.testing.chaos.plan import Draw, Profile

GARBAGE = (
    ("text/html", b"<html><body><h1>Welcome</h1>Please accept the terms of this network.</body></html>"),
    ("application/json", b'{"@context":["https://w3id.org/dspace/2025/1/con'),
    ("application/json", b"[[]]"),
    ("text/plain", b"OK"),
    ("application/octet-stream", bytes(range(128, 256))),
)


class Message(Protocol):
    """One message at a door, and what can be done with it."""

    profile: Profile
    draw: Draw

    async def pass_on(self) -> Reply | None:
        """Pass it on and return the answer, None if the connector behind cannot be reached."""

    async def pause(self, seconds: float) -> None:
        """Let time pass."""

    async def be_overtaken(self) -> None:
        """Wait for a later message of its process, for a while."""

    def copy_later(self, seconds: float) -> None:
        """Pass a copy on after some time."""

    def copy_after_end(self) -> None:
        """Pass a copy on when its process has ended."""


Act = Callable[[Message], Awaitable[Reply | None]]


async def _nothing(message: Message) -> Reply | None:
    return await message.pass_on()


async def _drop_request(message: Message) -> Reply | None:
    await message.pause(message.profile.silence_s)
    return None


async def _drop_reply(message: Message) -> Reply | None:
    await message.pass_on()
    await message.pause(message.profile.silence_s)
    return None


async def _duplicate_now(message: Message) -> Reply | None:
    replies = await asyncio.gather(message.pass_on(), message.pass_on())
    return replies[0]


async def _duplicate_later(message: Message) -> Reply | None:
    reply = await message.pass_on()
    message.copy_later(message.draw.up_to(message.profile.later_s))
    return reply


async def _duplicate_after_end(message: Message) -> Reply | None:
    reply = await message.pass_on()
    message.copy_after_end()
    return reply


async def _delay(message: Message) -> Reply | None:
    return await _around(message, lambda: message.pause(message.draw.up_to(message.profile.delay_s)))


async def _reorder(message: Message) -> Reply | None:
    return await _around(message, message.be_overtaken)


async def _around(message: Message, wait: Callable[[], Awaitable[None]]) -> Reply | None:
    """Wait before or after the message is passed on."""
    before = message.draw.coin()
    if before:
        await wait()
    reply = await message.pass_on()
    if not before:
        await wait()
    return reply


async def _status_500(message: Message) -> Reply | None:
    await _perhaps(message)
    return Reply(500, CIMultiDict({"Content-Type": "text/plain"}), b"something broke")


async def _status_503(message: Message) -> Reply | None:
    return _come_again(message, 503)


async def _status_429(message: Message) -> Reply | None:
    return _come_again(message, 429)


async def _garbage(message: Message) -> Reply | None:
    await _perhaps(message)
    kind, body = message.draw.chance.choice(GARBAGE)
    return Reply(200, CIMultiDict({"Content-Type": kind}), body)


async def _reset(message: Message) -> Reply | None:
    await _perhaps(message)
    return None


async def _perhaps(message: Message) -> None:
    if message.draw.coin():
        await message.pass_on()


def _come_again(message: Message, status: int) -> Reply:
    seconds = message.draw.chance.randint(1, max(1, message.profile.retry_after_s))
    return Reply(status, CIMultiDict({"Retry-After": str(seconds)}))


ACTS: dict[str, Act] = {
    "": _nothing,
    plan.DROP_REQUEST: _drop_request,
    plan.DROP_REPLY: _drop_reply,
    plan.DUPLICATE_NOW: _duplicate_now,
    plan.DUPLICATE_LATER: _duplicate_later,
    plan.DUPLICATE_AFTER_END: _duplicate_after_end,
    plan.DELAY: _delay,
    plan.REORDER: _reorder,
    plan.STATUS_500: _status_500,
    plan.STATUS_503: _status_503,
    plan.STATUS_429: _status_429,
    plan.TRUNCATE: _nothing,
    plan.RESET: _reset,
    plan.GARBAGE: _garbage,
}
"""Fault -> what it does; a truncated answer is one that is cut while it is written."""
