"""`comity get`: the connector finds, negotiates, pulls and checks; this command starts it or joins it, and watches.

What was begun goes on without this command. A failure becomes an error with the exit code that `exits` gives it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import catalog, ids, output, people, places, progress, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client import connector as client
from comity.client import problems, watch
from comity.client.calls import STORE
from comity.storage import buckets

Document = dict[str, Any]

Named = Annotated[
    str, typer.Argument(metavar="PARTNER", help="Its name, DID or address, or how one of these begins.")
]
Asset = Annotated[str, typer.Argument(metavar="ASSET", help="Asset id or title, or how one of these begins.")]
Into = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where the files go, out of what the node enforces: a folder or a bucket; else its encrypted store.",
        show_default=False,
    ),
]
OfferChoice = Annotated[
    str,
    typer.Option("--offer", metavar="N", help="Which offer, as `comity catalog PARTNER ASSET` numbers them."),
]
Purpose = Annotated[
    str,
    typer.Option(
        metavar="WORD", help="What the data is for: the partner is told, and it is in both sides' evidence."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Stop watching after so long; the connector goes on."),
]
Revision = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", help="This revision of it; else the newest released one.", show_default=False
    ),
]
Limit = Annotated[
    str,
    typer.Option(
        metavar="RATE", help="How fast it may come, such as 5MB/s; where it is new.", show_default=False
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", metavar="", help="Start it and do not watch.")]


def get(
    ctx: typer.Context,
    *,
    partner: Named,
    asset: Asset,
    into: Into = None,
    offer: OfferChoice = "",
    purpose: Purpose = "",
    revision: Revision = 0,
    limit: Limit = "",
    timeout: Timeout = None,
    no_wait: NoWait = False,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Get an asset: negotiate an agreement and pull the files into the node's store, or into a folder.

    In the store they are encrypted, and opened under the agreement's terms: see `comity received`.
    Run it again to watch what is under way, or to go on after a failure: what was received is kept.
    """
    here = Invocation(ctx)
    destination = STORE if into is None else places.absolute(into)
    story = progress.Story(output.console(), lambda found: _agreed_terms(here, found), quiet=here.as_json)
    party = people.find(here.connector, partner)
    begun = time.monotonic()
    started = _rejoin(here, party, asset, destination, story)
    if started is None:
        started = _begin(here, party, (asset, offer, purpose, revision, limit), destination, story)
    elif limit:
        story.line("", "--limit does not count: it goes on as fast as it was begun")
    stated = ("--purpose", purpose) if purpose else ()
    stated = (*stated, "--revision", str(revision)) if revision else stated
    placed = () if into is None else ("-o", into)
    again = here.command("get", partner, asset, *placed, *stated)
    if no_wait:
        _leave(here, started, again)
        return
    final = _follow(here, started, story, timeout, again)
    if here.as_json:
        output.document(final)
    if final.get("stage") == watch.FAILED:
        raise _failure(final, again)
    story.end(final, seconds=time.monotonic() - begun)
    if not here.as_json:
        _tell_place(here, final, story)


def _rejoin(
    here: Invocation, party: Document, asset: str, destination: str, story: progress.Story
) -> Document | None:
    """Return the exchange that does this already, so that it can be watched although the partner is away."""
    same = [
        each
        for each in here.connector.exchanges()
        if each.get("counterPartyId") == people.identity(party)
        and _same_place(str(each.get("destination")), destination)
        and each.get("stage") not in watch.ENDED
    ]
    by_asset = {str(each["assetId"]): each for each in same}
    try:
        found = ids.find(asset, by_asset.keys(), "asset")
    except errors.ComityError:
        return None
    story.line("joining", f"{found}, begun {words.moment(by_asset[found].get('createdAt'))}")
    return by_asset[found]


def _same_place(one: str, other: str) -> bool:
    if STORE in {one, other} or buckets.is_address(other):
        return one == other.rstrip("/")
    return os.path.realpath(one) == os.path.realpath(other)


def _tell_place(here: Invocation, final: Document, story: progress.Story) -> None:
    """Say what holds of the place: the store asks the terms, a folder is open to whoever may read it."""
    if final.get("destination") == STORE:
        story.line(
            "open it", f"{here.command('received', 'open', ids.short(str(final.get('transferId'))))} FILE"
        )
    else:
        story.line(
            "", "outside the node's store its terms are yours to keep: this is in the evidence as an export"
        )


def _begin(
    here: Invocation,
    party: Document,
    wanted: tuple[str, str, str, int, str],
    destination: str,
    story: progress.Story,
) -> Document:
    asset, offer, purpose, revision, limit = wanted
    called = output.clean(party.get("name") or people.identity(party))
    dataset = _find(here, party, asset, called)
    offers = words.offers(dataset)
    chosen = _choose(offers, offer, here.command("catalog", called, asset))
    newest = (
        f"revision {dataset['comity:revision']}" if dataset.get("comity:revision") and not revision else ""
    )
    described = [
        words.title(dataset) or str(dataset.get("@id")),
        newest,
        _files(dataset),
        catalog.size(dataset),
    ]
    story.line("finding", f"{', '.join(each for each in described if each)}, at {called}")
    story.offered = words.terms(chosen, us=here.us)
    if len(offers) > 1 and not offer:
        story.line("", f"the first of {len(offers)} offers; --offer chooses")
    return here.connector.start_exchange(
        people.identity(party),
        str(dataset["@id"]),
        destination,
        offer_id=str(chosen.get("@id") or ""),
        offer=chosen,
        purpose=purpose,
        revision=revision,
        limit=limit,
    )


def _find(here: Invocation, party: Document, asset: str, called: str) -> Document:
    """Ask for the one dataset; only what is no full id is looked for in the whole catalog."""
    try:
        return here.connector.dataset(people.identity(party), asset)
    except (errors.NotFoundError, errors.PermanentDeliveryError, errors.InvalidInputError):
        fetched = here.connector.catalog(people.identity(party))
        try:
            return catalog.choose(words.datasets(fetched), asset, here.command("catalog", called))
        except errors.NotFoundError as error:
            error.hint = _held(here, party, asset) or error.hint
            raise


def _held(here: Invocation, party: Document, asset: str) -> str:
    """Return that we have had an agreement about an asset which is not offered now; empty if we have not."""
    wanted = {"providerId": people.identity(party), "assetId": asset}
    criteria = [{"operandLeft": name, "operator": "=", "operandRight": each} for name, each in wanted.items()]
    found = here.connector.find(client.AGREEMENTS, limit=1, criteria=criteria)
    if not found:
        return ""
    see = here.command("agreements", ids.short(str(found[0]["@id"])))
    return f"you have an agreement about it; see whether its terms still hold: {see}"


def _choose(offers: Sequence[Document], offer: str, see: str) -> Document:
    if not offers:
        raise errors.NotFoundError("there is no offer for it", hint="ask the partner to offer it to you")
    if not offer:
        return offers[0]
    if offer.isdecimal() and 1 <= int(offer) <= len(offers):
        return offers[int(offer) - 1]
    found = [each for each in offers if each.get("@id") == offer]
    if not found:
        hint = f"see them with: {see}"
        raise errors.NotFoundError(f"there is no offer {offer}; there are {len(offers)}", hint=hint)
    return found[0]


def _files(dataset: Document) -> str:
    number = str(dataset.get("comity:files") or "")
    return words.count(int(number), "file") if number.isdecimal() else ""


def _follow(
    here: Invocation, started: Document, story: progress.Story, timeout_s: float | None, again: str
) -> Document:
    watching = f"the connector goes on; watch again with: {again}"
    try:
        with story:
            return here.connector.follow(str(started["@id"]), told=story.tell, timeout_s=timeout_s)
    except KeyboardInterrupt:
        raise watch.UnfinishedError("stopped watching", hint=watching) from None
    except watch.UnfinishedError as error:
        error.hint = watching
        raise
    except problems.UnreachableError as error:
        error.hint += f"; it then goes on, and you watch again with: {again}"
        raise


def _agreed_terms(here: Invocation, agreement_id: str) -> str:
    try:
        agreement = here.connector.load(client.AGREEMENTS, agreement_id)
    except errors.NotFoundError:
        return f"see: comity agreements {ids.tail(agreement_id)}"
    return words.terms(agreement.get("policy"), us=here.us)


def _failure(final: Document, again: str) -> errors.ComityError:
    """Return the error of a failed exchange; the API's code of what went wrong becomes ours."""
    why = str(final.get("error") or "no reason was given")
    refused = not final.get("agreementId") and final.get("negotiationState") == "TERMINATED"
    message = f"there is no agreement: {why}" if refused else f"it was not received: {why}"
    hint = f"when that is mended, what was received is kept; go on with: {again}"
    error = errors.ComityError(
        message, hint="ask the partner about it, and name the negotiation" if refused else hint
    )
    ended = (
        refused or final.get("transferState") == "TERMINATED"
    )  # our own failure would have a code of its own
    error.code = str(final.get("errorType") or (errors.PermanentDeliveryError.code if ended else error.code))
    return error


def _leave(here: Invocation, started: Document, again: str) -> None:
    if here.as_json:
        output.document(started)
    else:
        output.line(f"started; watch with: {again}")
