"""What may happen to our messages on the way: each delivered twice, or late. A wrapper of the function that sends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from comity import errors
from comity.delivery.worker import Post

Wrap = Callable[[Post], Post]


class Twice:
    """Delivers every message twice, one right after the other; the first answer counts, the second is only counted."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()
        """What became of the second copies: `taken`, the status of a refusal, or `no answer`."""

    def __call__(self, post: Post) -> Post:
        """Return the function to send with."""

        async def sent(url: str, body: bytes, authorization: str) -> bytes:
            try:
                return await post(url, body, authorization)
            finally:
                self.copies[await _fate(post, url, body, authorization)] += 1

        return sent


async def _fate(post: Post, url: str, body: bytes, authorization: str) -> str:
    try:
        await post(url, body, authorization)
    except errors.PermanentDeliveryError as error:
        return f"answered {error.status}"
    except errors.DeliveryError:
        return "no answer"
    return "taken"


def late(
    most_s: float,
    chance: Callable[[], float],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Wrap:
    """Hold every message back for a random time of at most `most_s`; `chance` draws from [0, 1)."""

    def wrap(post: Post) -> Post:
        async def sent(url: str, body: bytes, authorization: str) -> bytes:
            await pause(most_s * chance())
            return await post(url, body, authorization)

        return sent

    return wrap


def together(wraps: list[Wrap]) -> Wrap:
    """Put wrappers together, the first one next to the wire."""

    def wrap(post: Post) -> Post:
        for each in wraps:
            post = each(post)
        return post

    return wrap
