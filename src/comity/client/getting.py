"""From a partner's name to verified files in a folder: find, agree, have the connector receive, fetch from it, check.

The connector receives into its own store; the files then come through its management API, so that client and
connector need no folder in common and the client no port of its own. Each hash is checked here again. What was begun
goes on without the client, and is taken up where it stood when it is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from comity import errors
from comity.client import calls, choosing, placing, saving, stages, watch
from comity.client.choosing import Wanted
from comity.client.records import Applies, Asset, Exchange, Offer, Participant, assets
from comity.client.saving import Got
from comity.client.stages import ExchangeError, Progress, Told
from comity.client.steps import Flow

OFFERED, TERMINATED, REFUSED, REQUESTED = "OFFERED", "TERMINATED", "REFUSED", "REQUESTED"
REFUSAL = errors.PermanentDeliveryError.code
ASKED_THERE = frozenset({REQUESTED, "ACCEPTED", "VERIFIED"})
"""States of a negotiation in which the next message is the partner's."""
QUIET_LOOKS = 10
"""After so many looks without anything new, some 2 s, it is said who is waited for."""


class Found(NamedTuple):
    """The partner, its asset, and the offer that is taken."""

    partner: Participant
    asset: Asset
    offer: Offer


# Finding


def partner(text: str) -> Flow[Participant]:
    """Return the partner that a text names.

    Raises:
        ExchangeError: there is none, or several.
    """
    with stages.at(stages.FINDING):
        return choosing.partner((yield from calls.partners()), text)


def catalog(text: str) -> Flow[list[Asset]]:
    """Return what a partner offers.

    Raises:
        ExchangeError: there is no such partner, or it does not answer.
    """
    with stages.at(stages.FINDING):
        found = yield from partner(text)
        return assets((yield from calls.catalog(found.id)))


def applies(text: str, asset_id: str, **unit: str) -> Flow[Applies]:
    """Return which revision of a partner's asset applies to a unit.

    Raises:
        ExchangeError: there is no such partner or asset.
    """
    with stages.at(stages.FINDING):
        found = yield from partner(text)
        return (yield from calls.applies(asset_id, of=found.id, **unit))


def asset(text: str, name: str) -> Flow[Asset]:
    """Return one asset that a partner offers; a full id is asked for, anything else looked for in the catalog.

    Raises:
        ExchangeError: there is no such partner or asset.
    """
    with stages.at(stages.FINDING):
        found = yield from partner(text)
        return (yield from _asset(found, name))


def _asset(found: Participant, name: str) -> Flow[Asset]:
    try:
        return (yield from calls.dataset(found.id, name))
    except (errors.NotFoundError, errors.PermanentDeliveryError, errors.InvalidInputError):
        return choosing.asset(assets((yield from calls.catalog(found.id))), name)


def find(wanted: Wanted) -> Flow[Found]:
    """Find the partner, the asset and an offer with accepted terms.

    Raises:
        ExchangeError: one of them is not there; what is offered differs from what is accepted.
    """
    with stages.at(stages.FINDING):
        whom = yield from partner(wanted.partner)
        what = yield from _asset(whom, wanted.asset)
        if not what.offers:
            raise errors.NotFoundError(
                f"there is no offer for {what.id}", hint="ask the partner to offer it to you"
            )
        chosen = choosing.offer(what.offers, wanted.accepted)
    if chosen is None:
        raise ExchangeError(
            "none of its offers has the terms that are accepted",
            stage=stages.NEGOTIATING,
            code=errors.PolicyError.code,
            hint="accept one of the offers, or ask the partner for other terms",
            offered=what.offers,
            accepted=wanted.accepted[0],
        )
    return Found(whom, what, chosen)


# Getting


def get(
    wanted: Wanted,
    to: str | Path,
    *,
    progress: Told | None = None,
    timeout_s: float | None = None,
    overwrite: bool = False,
) -> Flow[Got]:
    """Get an asset: from nothing, or from where an earlier call stopped, to verified files in a folder.

    Raises:
        ExchangeError: with the stage in which it ended; code `unfinished` after `timeout_s`, and the connector goes on.
    """
    tell = stages.once(progress or stages.nobody)
    tell(Progress(stages.FINDING))
    with stages.at(stages.FINDING):
        placing.chosen(to)
    found = yield from find(wanted)
    saving.check_purpose(found.offer, wanted, stages.NEGOTIATING, found.asset.offers)
    with stages.at(stages.NEGOTIATING):
        begun = yield from calls.start_exchange(
            found.partner.id,
            found.asset.id,
            calls.STORE,
            offer_id=found.offer.id,
            offer=found.offer,
            purpose=wanted.purpose,
            revision=wanted.revision,
        )
    ended = yield from _followed(found, begun.id, tell, timeout_s)
    return (
        yield from saving.save(
            ended.transfer_id, to, wanted, progress=progress, ended=ended, overwrite=overwrite
        )
    )


def follow(
    exchange_id: str, *, told: Callable[[Exchange], object], timeout_s: float | None = None
) -> Flow[Exchange]:
    """Follow an exchange until it is completed or failed, telling how far it has come; return how it ended.

    Raises:
        UnfinishedError: it has not ended within `timeout_s`.
        UnreachableError: the connector did not answer for 20 s.
    """
    return watch.follow(calls.exchange(exchange_id), told=told, timeout_s=timeout_s)


def _followed(found: Found, name: str, tell: Told, timeout_s: float | None) -> Flow[Exchange]:
    """Follow an exchange to its end, or to where it would wait for ever."""
    seen = Exchange({"@id": name})
    quiet = 0

    def told(status: Exchange) -> None:
        nonlocal quiet
        quiet = quiet + 1 if seen == status else 0
        seen.update(status)
        tell(_progress(status, waited=quiet >= QUIET_LOOKS))

    try:
        ended = yield from watch.follow(
            calls.exchange(name),
            told=told,
            ended=lambda one: watch.has_ended(one) or _stuck(one),
            timeout_s=timeout_s,
        )
    except errors.ComityError as error:
        with stages.at(_stage(seen), stages.ids(seen)):
            if isinstance(error, watch.UnfinishedError):
                waits = seen.waits_for or seen.error or _awaited(seen)
                waits = f"; it waits: {waits}" if waits else ""
                error.hint = f"the connector goes on{waits}; the same call takes it up again"
            raise
    if ended.stage == watch.COMPLETED:
        return ended
    raise (yield from _failure(found, ended))


def _stuck(status: Exchange) -> bool:
    """Tell whether the partner offers other terms, about which nobody here is asked."""
    return status.negotiation_state == OFFERED and not (status.waits_for or status.agreement_id)


def _failure(found: Found, ended: Exchange) -> Flow[ExchangeError]:
    """Return what went wrong, with what the partner said and offers."""
    stage = _stage(ended)
    process = yield from _process(ended, stage)
    counter = process.get("offer") if _stuck(ended) else None
    offered = [Offer(counter)] if counter else (yield from _offered(found, stage))
    why = str(process.get("errorDetail") or ended.error or "no reason was given")
    if counter:
        why = "the partner offers other terms than those of its catalog"
    ours = stage == stages.NEGOTIATING and (yield from _refused_here(ended))
    refused = TERMINATED in {ended.negotiation_state, ended.transfer_state} and not ours
    return ExchangeError(
        why,
        stage=stages.VERIFYING if ended.error_type in stages.BROKEN else stage,
        code=ended.error_type or (errors.PolicyError.code if ours else REFUSAL if refused or counter else ""),
        hint=_advice(stage, ours=ours, counter=counter is not None),
        reason=why if refused and not ended.error_type else "",
        offered=offered,
        accepted=found.offer if stage == stages.NEGOTIATING else None,
        ids=stages.ids(ended),
    )


def _advice(stage: str, *, ours: bool, counter: bool) -> str:
    if stage != stages.NEGOTIATING:
        return "when that is mended, the same call goes on: what was received is kept"
    if ours:
        return "people of your own refused it: ask them; the same call asks anew"
    return (
        "take its terms with accept=, or ask the partner for others"
        if counter
        else "the partner decides that: ask it, and name the negotiation; the same call asks anew"
    )


def _refused_here(ended: Exchange) -> Flow[bool]:
    """Tell whether people of our own refused it."""
    about = {"operandLeft": "contractNegotiationId", "operator": "=", "operandRight": ended.negotiation_id}
    try:
        asked = yield from calls.find("approvals", limit=1, criteria=[about])
        return any(each["state"] == REFUSED for each in asked)
    except errors.ComityError:
        return False


def _process(ended: Exchange, stage: str) -> Flow[Mapping[str, Any]]:
    """Return the negotiation or the transfer that went wrong."""
    noun, name = (
        (calls.NEGOTIATIONS, ended.negotiation_id)
        if stage == stages.NEGOTIATING
        else (calls.TRANSFERS, ended.transfer_id)
    )
    try:
        return (yield from calls.load(noun, name)) if name else {}
    except errors.ComityError:
        return {}


def _offered(found: Found, stage: str) -> Flow[list[Offer]]:
    """Return what the partner offers now, if that is in question; what it offered if it does not say."""
    if stage != stages.NEGOTIATING:
        return []
    try:
        return (yield from calls.dataset(found.partner.id, found.asset.id)).offers
    except errors.ComityError:
        return []


def _stage(status: Exchange) -> str:
    if not status.agreement_id:
        return stages.NEGOTIATING
    pulling = status.stage == watch.PULLING or status.bytes_total or status.files_total
    return stages.RECEIVING if pulling or status.stage == watch.COMPLETED else stages.TRANSFERRING


def _awaited(status: Exchange) -> str:
    """Return that the partner is waited for, where it is; whom it waits for itself, nobody here knows."""
    asked = status.negotiation_state in ASKED_THERE or status.transfer_state == REQUESTED
    return "the partner has not answered yet" if asked else ""


def _progress(status: Exchange, *, waited: bool = False) -> Progress:
    note = f"waits: {status.waits_for}" if status.waits_for else status.error
    note = note or (_awaited(status) if waited else "")
    if status.transfer_state == "SUSPENDED":
        note = "the transfer is suspended"
    figures = (status.files_done, status.files_total, status.bytes_done, status.bytes_total)
    return Progress(_stage(status), *figures, note)
