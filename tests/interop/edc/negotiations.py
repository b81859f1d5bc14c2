"""Checks of negotiations: to the end on both sides with equal agreements, ended early, refused, repeated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from comity.client.connector import AGREEMENTS
from interop.edc import terms
from interop.edc.checks import CheckError, Checks, equal, wait_for
from interop.edc.world import (
    EDC_ASSET,
    EDC_EXPIRED,
    EDC_ID,
    EDC_SMALL,
    NEGOTIATIONS,
    OUR_CLOSED,
    OUR_ENDED,
    OUR_FILE,
    OUR_PACKAGE,
    OUR_TIMED,
    World,
)

TRIES = 4
"""EDC goes on by itself after at most a second: what has to be in time is tried again with a new negotiation."""
QUIET_S = 3.0
MANY = 20
MANY_S = 60.0
CONFLICT = 409
OFFERED = 400
"""EDC's number of that state: its queries know no other name of it."""
Document = dict[str, Any]


def run(world: World, checks: Checks) -> None:
    """Check negotiations."""
    for asset in (EDC_ASSET, EDC_SMALL, EDC_EXPIRED):
        checks.step(f"Comity as consumer of {asset}, agreements equal", partial(_as_consumer, world, asset))
    for asset in (OUR_FILE, OUR_PACKAGE, OUR_TIMED, OUR_ENDED):
        checks.step(f"Comity as provider of {asset}, agreements equal", partial(_as_provider, world, asset))
    checks.step("a request that was delivered twice (EDC to Comity)", lambda: _twice_to_us(world))
    checks.step("an agreement that was delivered twice (Comity to EDC)", lambda: _twice_to_edc(world))
    checks.step("Comity, the consumer, terminates", lambda: _ends_as_consumer(world, by_us=True))
    checks.step("EDC, the provider, terminates", lambda: _ends_as_consumer(world, by_us=False))
    offered = "a counter-offer of ours stays OFFERED"
    checks.step(f"{offered}; Comity, the provider, terminates", lambda: _ends_offered(world, by_us=True))
    checks.step(f"{offered}; EDC, the consumer, terminates", lambda: _ends_offered(world, by_us=False))
    checks.step("an offer nobody asked for: EDC keeps it OFFERED, Comity terminates", lambda: _offer(world))
    checks.step("Comity refuses: the policy is not met", lambda: _refused_by_us(world))
    checks.step(f"{MANY} at once, Comity as consumer", lambda: _many_as_consumer(world))
    checks.step(
        f"{MANY} at once, Comity as provider", lambda: _many_as_provider(world, OUR_FILE, "FINALIZED")
    )
    checks.step(f"{MANY} at once, all refused", lambda: _many_as_provider(world, OUR_CLOSED, "TERMINATED"))
    checks.step("EDC refuses: an offer that it does not have", lambda: _refused_by_edc(world))


# To the end


def _as_consumer(world: World, asset: str) -> str:
    ours = world.ask_edc(world.edc_offer(asset))
    world.ours_reaches(NEGOTIATIONS, ours, "FINALIZED")
    theirs = world.theirs_of(NEGOTIATIONS, ours)
    world.known[f"negotiation {asset}"] = f"{ours} {theirs}"
    return _finalized(world, ours, theirs, asset)


def _as_provider(world: World, asset: str) -> str:
    theirs = world.ask_us(world.our_offer(asset), asset)
    world.edc_reaches(NEGOTIATIONS, theirs, "FINALIZED")
    ours = world.ours_of(NEGOTIATIONS, theirs)
    world.known[f"negotiation {asset}"] = f"{ours} {theirs}"
    return _finalized(world, ours, theirs, asset)


def _finalized(world: World, ours: str, theirs: str, asset: str) -> str:
    """Both sides FINALIZED with agreements that do not differ in any field."""
    mine = world.ours_reaches(NEGOTIATIONS, ours, "FINALIZED")
    other = world.edc_reaches(NEGOTIATIONS, theirs, "FINALIZED")
    held = world.us.api.load(AGREEMENTS, mine["contractAgreementId"])
    at_edc = world.edc.load(AGREEMENTS, other["contractAgreementId"])
    if differing := terms.differences(held, at_edc):
        raise CheckError(f"the agreements differ: {'; '.join(differing)}")
    world.known[f"agreement {asset}"] = held["@id"]
    world.known[f"EDC's agreement {asset}"] = at_edc["@id"]
    fields = terms.of_agreement(held)
    _check_wire(world, ours, theirs, held)
    said = fields["policy.permission"][0].get("constraint", [])
    shown = [f"{each['leftOperand']} {each['operator']} {each['rightOperand']}" for each in said]
    return (
        f"FINALIZED on both sides, {len(fields)} of {len(fields)} fields equal: assigner {fields['providerId']},"
        f" assignee {fields['consumerId']}, target {fields['assetId']}, use if {' and '.join(shown)},"
        f" signed {held['policy']['timestamp']}"
    )


def _check_wire(world: World, ours: str, theirs: str, held: Document) -> None:
    """What crossed the wire as the agreement is what we hold."""
    sent = [
        each.message["agreement"]
        for each in world.crossings(ours, theirs)
        if isinstance(each.message, dict) and each.message.get("@type") == "ContractAgreementMessage"
    ]
    kept = {name: value for name, value in held["policy"].items() if name != "@context"}
    if not sent or any(each != kept for each in sent):  # more than one where EDC was not ready for the first
        raise CheckError(f"the agreement on the wire is {sent}, not {kept}")


# Repeated


def _twice_to_us(world: World) -> str:
    theirs = world.known[f"negotiation {OUR_FILE}"].split()[1]
    first = next(each for each in world.crossings(theirs) if each.path.endswith("/negotiations/request"))
    before = len(world.us.api.find_all(NEGOTIATIONS))
    again = world.to_us.repeat(first)
    equal(len(world.us.api.find_all(NEGOTIATIONS)), before, "the number of negotiations")
    equal(
        again.answered["providerPid"], first.answered["providerPid"], "the providerPid of the second answer"
    )
    return f"{again.status} with the same providerPid, {before} negotiations as before"


def _twice_to_edc(world: World) -> str:
    ours, theirs = world.known[f"negotiation {OUR_FILE}"].split()
    first = next(each for each in world.crossings(theirs) if each.path.endswith("/agreement"))
    again = world.to_edc.repeat(first)
    equal(world.edc.load(NEGOTIATIONS, theirs)["state"], "FINALIZED", "EDC's state")
    equal(world.us.api.load(NEGOTIATIONS, ours)["state"], "FINALIZED", "our state")
    return f"EDC answers {again.status}, both stay FINALIZED"


# Ended early


def _ends_as_consumer(world: World, *, by_us: bool) -> str:
    return _in_time(lambda: _end_as_consumer(world, by_us=by_us))


def _in_time(attempt: Callable[[], str]) -> str:
    """Return what an attempt saw; EDC's next step may come first, then it is made again."""
    for left in reversed(range(TRIES)):
        try:
            return attempt()
        except Exception:
            if not left:
                raise
    raise CheckError("never")


def _end_as_consumer(world: World, *, by_us: bool) -> str:
    ours = world.ask_edc(world.edc_offer(EDC_ASSET))
    theirs = world.theirs_of(NEGOTIATIONS, ours)
    return _end(world, ours, theirs, by_us=by_us)


def _end(world: World, ours: str, theirs: str, *, by_us: bool) -> str:
    before = world.edc.load(NEGOTIATIONS, theirs)["state"]
    if by_us:
        world.us.api.move(NEGOTIATIONS, ours, "terminate", reason="not needed any more")
    else:
        _terminate_at_edc(world, theirs)
    mine = world.ours_reaches(NEGOTIATIONS, ours, "TERMINATED")
    other = world.edc_reaches(NEGOTIATIONS, theirs, "TERMINATED")
    if not by_us:
        equal(mine.get("errorDetail"), "not needed any more", "our errorDetail")
    return (
        f"EDC was {before}, both TERMINATED; reason here {mine.get('errorDetail')!r},"
        f" at EDC {other.get('errorDetail')!r}"
    )


def _terminate_at_edc(world: World, theirs: str) -> None:
    body = {"@type": "TerminateNegotiation", "@id": theirs, "reason": "not needed any more"}
    world.edc.request("POST", f"contractnegotiations/{theirs}/terminate", body)


def _ends_offered(world: World, *, by_us: bool) -> str:
    """EDC asks for other terms than ours, we offer ours again: EDC has no step for that."""
    offer = {**world.our_offer(OUR_PACKAGE), "permission": [{"action": "use"}]}
    theirs = world.ask_us(offer, OUR_PACKAGE)
    world.edc_reaches(NEGOTIATIONS, theirs, "OFFERED")
    ours = world.ours_of(NEGOTIATIONS, theirs)
    world.ours_reaches(NEGOTIATIONS, ours, "OFFERED")
    _stays(world, theirs, "OFFERED")
    world.known[f"offered by {by_us}"] = f"{ours} {theirs}"
    return _end(world, ours, theirs, by_us=by_us)


def _stays(world: World, theirs: str, state: str) -> None:
    """Three of EDC's rounds later it is still there."""
    try:
        wait_for(lambda: world.edc.load(NEGOTIATIONS, theirs)["state"] != state, "a change", QUIET_S)
    except CheckError:
        return
    raise CheckError(f"EDC left {state}")


def _offer(world: World) -> str:
    """EDC keeps the offer but fails to answer (it looks for a consumerPid that is its own to make): 500."""
    policy = {"@type": "Offer", "target": OUR_FILE, "permission": [{"action": "use"}]}
    body = {"counterPartyId": EDC_ID, "policy": policy}
    ours = str(world.us.api.request("POST", f"{NEGOTIATIONS}/offers", body)["@id"])
    crossing = wait_for(
        lambda: next((each for each in world.crossings(ours) if each.status), None), "a delivery"
    )
    wait_for(lambda: _orphans(world), "EDC to keep it")
    world.us.api.move(NEGOTIATIONS, ours, "terminate", reason="withdrawn")
    mine = world.ours_reaches(NEGOTIATIONS, ours, "TERMINATED")
    equal(mine.get("errorDetail"), "withdrawn", "our errorDetail")
    sent = len(world.crossings(ours))
    try:
        wait_for(lambda: len(world.crossings(ours)) > sent, "another delivery", QUIET_S)
    except CheckError:
        orphans = len(_orphans(world))
        return f"EDC answers {crossing.status} and keeps {orphans} OFFERED; ours TERMINATED, nothing is sent any more"
    raise CheckError("the offer was sent again after it had been withdrawn")


def _orphans(world: World) -> list[Document]:
    return [each for each in world.edc.find(NEGOTIATIONS, "state", OFFERED) if "correlationId" not in each]


# RefusedError


def _refused_by_us(world: World) -> str:
    theirs = world.ask_us(world.our_offer(OUR_CLOSED), OUR_CLOSED)
    other = world.edc_reaches(NEGOTIATIONS, theirs, "TERMINATED")
    ours = world.ours_of(NEGOTIATIONS, theirs)
    mine = world.ours_reaches(NEGOTIATIONS, ours, "TERMINATED")
    if "recipient eq urn:connector:other" not in mine["errorDetail"]:
        raise CheckError(f"our errorDetail is {mine['errorDetail']!r}")
    world.known["negotiation refused"] = f"{ours} {theirs}"
    return f"TERMINATED on both sides; Comity shows {mine['errorDetail']!r}, EDC {other.get('errorDetail')!r}"


# Many at once: each side's next message meets the other's unfinished step


def _many_as_consumer(world: World) -> str:
    offer, first = world.edc_offer(EDC_ASSET), len(world.capture.crossings)
    ours = [world.ask_edc(offer) for _ in range(MANY)]
    for each in ours:
        world.ours_reaches(NEGOTIATIONS, each, "FINALIZED", MANY_S)
        world.edc_reaches(NEGOTIATIONS, world.theirs_of(NEGOTIATIONS, each), "FINALIZED", MANY_S)
    return f"all {MANY} FINALIZED on both sides; {_not_ready(world, first)}"


def _many_as_provider(world: World, asset: str, state: str) -> str:
    offer, first = world.our_offer(asset), len(world.capture.crossings)
    theirs = [world.ask_us(offer, asset) for _ in range(MANY)]
    for each in theirs:
        world.edc_reaches(NEGOTIATIONS, each, state, MANY_S)
        world.ours_reaches(NEGOTIATIONS, world.ours_of(NEGOTIATIONS, each), state, MANY_S)
    return f"all {MANY} {state} on both sides; {_not_ready(world, first)}"


def _not_ready(world: World, first: int) -> str:
    said = [each.status for each in world.capture.crossings[first:] if each.sender == "Comity"]
    return f"{said.count(CONFLICT)} of {len(said)} messages came too early for EDC (409)"


def _refused_by_edc(world: World) -> str:
    ours = world.ask_edc({**world.edc_offer(EDC_ASSET), "@id": "bm8=:bm8=:bm8="})
    mine = world.ours_reaches(NEGOTIATIONS, ours, "TERMINATED")
    if "404" not in mine["errorDetail"]:
        raise CheckError(f"our errorDetail is {mine['errorDetail']!r}")
    return f"Comity shows {mine['errorDetail'].partition(' answers ')[2]!r}"
