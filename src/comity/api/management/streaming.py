"""A response that hands out bytes of any length: as slowly as they are read, and never short.

What is handed out was decided before (`controlplane.readings`); here it ends when the reader leaves, when its right
ends, or when the connector stops.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from comity import errors
from comity.api import problems, sending
from comity.dataplane import flows, serve

log = logging.getLogger(__name__)


class Streamed(Response):
    """Sends an answer of the data plane's form; `name` is what is read, for the limit of streams at once.

    `still_allowed` is asked every 2 s while bytes flow.

    Raises:
        ConditionError, RangeError: the answer is a refusal, which the management API has words of its own for.
    """

    def __init__(
        self,
        reply: serve.Answer,
        open_flows: flows.Flows,
        name: str,
        still_allowed: flows.StillAllowed | None = None,
    ) -> None:
        super().__init__(status_code=reply.status)
        _check(reply)
        self._reply = reply
        self._open_flows = open_flows
        self._name = name
        self._still_allowed = still_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or drop the connection."""
        started = sending.Started(send)
        try:
            async with self._open_flows.open(self._name) as flow:
                flow.watch(self._still_allowed)
                leaving = asyncio.create_task(sending.watch_leaving(receive, flow))
                try:
                    await sending.send(self._reply, started, flow)
                finally:
                    leaving.cancel()
        except errors.ComityError as error:
            log.info("what was read of %s ends early: %s", self._name, error.message)
            if started.begun:
                await sending.abort(scope, started)
            else:
                await problems.answer(error)(scope, receive, send)


def _check(reply: serve.Answer) -> None:
    headers = dict(reply.headers)
    if reply.status == 412:  # noqa: PLR2004
        raise problems.ConditionError(
            "the file has another content now than the one that is asked for", hint="open it again"
        )
    if reply.status == 416:  # noqa: PLR2004
        raise problems.RangeError(
            "one range of bytes inside the file can be asked for",
            content_range=headers.get("Content-Range", ""),
        )
