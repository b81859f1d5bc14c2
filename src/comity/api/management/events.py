"""Endpoints of events and of who is told of them: decode, one use case, encode.

Whoever accepts `text/event-stream` gets a stream that goes on from `Last-Event-ID`, everybody else a page of JSON.
What is decided is `controlplane.events` and `controlplane.webhooks`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from starlette.responses import Response

from comity import errors
from comity.api import problems
from comity.api.management import call as calls
from comity.api.management import stream
from comity.api.management.call import Call, Document
from comity.controlplane import events, webhooks
from comity.controlplane.connector import Connector
from comity.db.events import Page
from comity.management import events as event_forms
from comity.management import query, wire
from comity.management import webhooks as forms

LAST_EVENT_ID = "Last-Event-ID"
PAGE_PARAMETERS = ("after", "limit", "processId", "types")
STREAM_PARAMETERS = ("after", "processId", "types")
LIMIT = 100


async def read_events(connector: Connector, call: Call) -> Document | Response:
    """GET events."""
    streams = stream.MEDIA_TYPE in call.headers.get("accept", "").lower()
    _check_parameters(call, STREAM_PARAMETERS if streams else PAGE_PARAMETERS)
    types = call.parameters.get("types", "")
    wanted = events.Wanted(
        after=_after(call, streams=streams),
        process_id=call.parameters.get("processId", ""),
        types=event_forms.check_types(
            types.split(",") if types else [], "$.types", *([event_forms.PROGRESS] if streams else [])
        ),
    )
    if streams:
        return await _stream(connector, call, wanted)
    page = await events.find_page(
        connector, wanted, calls.number(call, "limit", LIMIT, query.MAX_LIMIT, least=1)
    )
    listed = [event_forms.cloud_event(each, connector.participant_id) for each in page.events]
    return {
        "events": listed,
        "next": page.upto,
        "more": page.more,
        "oldest": page.oldest,
        "newest": page.newest,
    }


def _check_parameters(call: Call, known: tuple[str, ...]) -> None:
    for name in call.parameters:
        if name not in known:
            raise errors.InvalidInputError(
                f"there is no parameter {name[:100]} here; there is: {', '.join(known)}",
                path=f"$.{name[:100]}",
            )


def _after(call: Call, *, streams: bool) -> int | None:
    """Return the place to go on from: a page begins with the oldest event, a stream with the next."""
    seen = call.headers.get(LAST_EVENT_ID.lower(), "") if streams else ""
    if seen:
        return calls.whole(seen, LAST_EVENT_ID, calls.MAX_AFTER)
    if streams and "after" not in call.parameters:
        return None
    return calls.number(call, "after", 0, calls.MAX_AFTER)


async def _stream(connector: Connector, call: Call, wanted: events.Wanted) -> Response:
    place = await events.find_place(connector, wanted)
    if connector.news.readers >= stream.MOST:
        raise errors.CrowdedError(
            f"{stream.MOST} streams of events are open already",
            retry_after_s=problems.RETRY_S,
            hint="close one, or read pages of JSON",
        )
    begun = msgspec.structs.replace(wanted, after=place)
    return stream.EventStream(_chunks(connector, call, begun, place), connector.news.wait_closed)


async def _chunks(
    connector: Connector, call: Call, wanted: events.Wanted, place: int
) -> AsyncGenerator[bytes, None]:
    """Yield what is streamed, until the connector stops or the key of the reader opens nothing any more."""
    with connector.news.reading():
        yield stream.opening(place)
        moves = connector.news.moves
        async with aclosing(events.follow(connector, wanted)) as pages:
            async for page in pages:
                if call.holds is not None and not await call.holds():
                    return
                moved = connector.news.moved_since(moves, wanted.process_id) if wanted.progress else []
                moves = connector.news.moves
                yield _framed(connector, page) + b"".join(_progress(connector, each) for each in moved)


def _framed(connector: Connector, page: Page) -> bytes:
    documents = [(each.seq, event_forms.cloud_event(each, connector.participant_id)) for each in page.events]
    framed = [stream.frame(seq, msgspec.json.encode(document)) for seq, document in documents]
    if not page.events or page.events[-1].seq != page.upto:
        framed.append(stream.mark(page.upto))
    return b"".join(framed)


def _progress(connector: Connector, figures: event_forms.ProgressData) -> bytes:
    """Return how far a transfer has come, without a place: who comes again is told the newest."""
    document = event_forms.progress_event(
        figures, connector.participant_id, id_=connector.new_id(), at=connector.now_ms()
    )
    return stream.passing(msgspec.json.encode(document))


async def create_webhook(connector: Connector, call: Call) -> Document:
    """POST webhooks."""
    created = await webhooks.create(connector, forms.decode(call.body))
    return wire.id_response(created.id, created.created_at)


async def find_webhooks(connector: Connector, call: Call) -> list[Document]:
    """GET webhooks?processId=."""
    _check_parameters(call, ("processId",))
    return await webhooks.find_all(connector, call.parameters.get("processId", ""))


async def load_webhook(connector: Connector, call: Call) -> Document:
    """GET webhooks/{id}."""
    return await webhooks.load(connector, call.id)


async def remove_webhook(connector: Connector, call: Call) -> None:
    """DELETE webhooks/{id}."""
    await webhooks.remove(connector, call.id)
