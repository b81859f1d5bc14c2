"""Thousands of changed offers and agreements: what changes the meaning is refused, another spelling of it is taken.

Each JSON path of a policy is changed in every way of `hostile.mutants`, in each message that carries one, in both
roles; an oracle of its own says what the change means. What is stored afterwards has exactly the meaning that was
offered.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from comity import errors
from comity.dsp import codec, messages, negotiation, terms
from comity.management import policy as policies
from hostile import machine_model as models
from hostile import mutants
from hostile.machine_world import ASSET, Play, World, name_of
from hostile.mutants import EITHER, OTHER, SAME, meaning
from support import wire

pytestmark = pytest.mark.timeout(300)
POLICY: dict[str, Any] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2090-12-31"},
                {"leftOperand": "count", "operator": "lteq", "rightOperand": "50"},
                {
                    "or": [
                        {"leftOperand": "purpose", "operator": "isNoneOf", "rightOperand": ["war", "spam"]},
                        {
                            "leftOperand": "spatial",
                            "operator": "eq",
                            "rightOperand": {"@value": "EU", "@type": "xsd:string"},
                        },
                    ]
                },
            ],
        },
        {"action": "use"},
    ],
    "prohibition": [
        {
            "action": "distribute",
            "constraint": [
                {
                    "andSequence": [
                        {
                            "leftOperand": "dateTime",
                            "operator": "gt",
                            "rightOperand": {"@value": "2080-01-01", "@type": "xsd:date"},
                        },
                        {"leftOperand": "recipient", "operator": "neq", "rightOperand": "did:web:nobody"},
                    ]
                }
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def world(template):
    made = World(template)
    made.open()
    yield made
    made.close()
    made.end()


def counted(counts: Counter[tuple[str, str]], at_least: int) -> None:
    """There were so many, and each kind of change was made with and without a change of the meaning."""
    assert counts.total() >= at_least, counts
    kinds = {
        "delete",
        "replace",
        "add",
        "reorder",
        "duplicate",
        "retype",
        "prefix",
        "number",
        "unicode",
        "array",
    }
    assert {kind for kind, answer in counts if answer == OTHER} >= kinds
    assert {kind for kind, answer in counts if answer == SAME} >= kinds - {"replace", "duplicate", "unicode"}


def verbatim(policy: Any) -> dict[str, Any]:
    """What a policy says, as it says it, whatever the spelling of the names at its top."""
    return {name: value for name, value in mutants.members(policy).items() if name != "@context"}


def message(play: Play, name: str, field: str, mutant: mutants.Mutant, **more: Any) -> dict[str, Any]:
    """The message of a mutant, under its context."""
    document = {**wire.message(name_of("negotiation", name), **play.pids(), **more), field: mutant.policy}
    if mutant.context is not None:
        document["@context"] = [wire.CONTEXT, mutant.context]
    return document


def test_an_agreement_that_means_another_thing_is_refused_and_another_spelling_is_taken(world):
    counts: Counter[tuple[str, str]] = Counter()

    async def requested() -> Play:
        play = Play(world, "negotiation", models.CONSUMER)
        offer = {"@id": "urn:o", "@type": "Offer", **POLICY, "target": ASSET}
        record = await world.site.request(world.partner, offer)
        play.id, play.pid = record.id, wire.new_id()
        await world.settle()
        await world.acknowledge(world.site.sendings[-1], play.pid)
        await world.settle()
        return play

    async def all_of_them() -> None:
        play = await requested()
        head = {"target": ASSET, "assigner": world.partner.did, "assignee": world.site.did}
        right = wire.agreement(POLICY, **head)
        own = meaning(right)
        wrong = []
        for mutant in (*mutants.of_terms(right), *mutants.of_context(right)):
            wanted = mutants.oracle(mutant, own, head)
            changed = mutant.policy
            if wanted != OTHER and isinstance(changed, dict) and changed.get("@id") == right["@id"]:
                changed = {**changed, "@id": wire.new_id()}
            document = message(play, "agreement", "agreement", mutant._replace(policy=changed))
            status, _ = await play.send("agreement", document)
            counts[mutant.kind, wanted] += 1
            if {SAME: status != 200, OTHER: status != 400, EITHER: status not in {200, 400}}[wanted]:
                wrong.append((status, wanted, mutant.kind, mutant.where, mutant.context, mutant.policy))
            if status == 200:
                stored = await world.site.agreement(play.id)
                if (wanted == SAME and meaning(stored.document) != own) or verbatim(
                    stored.document
                ) != verbatim(changed):
                    wrong.append(("stored", wanted, mutant.kind, mutant.where, stored.document))
                play = await requested()
            else:
                assert await world.site.agreement(play.id) is None
        assert wrong == [], len(wrong)

    world.run(all_of_them())
    counted(counts, 1400)


def test_a_request_that_means_another_thing_is_never_agreed_to(template):
    world = World(template)
    world.open(policy=True)
    counts: Counter[tuple[str, str]] = Counter()

    async def all_of_them() -> None:
        await world.site.publish("rich", policy=POLICY)
        dataset = (await world.send("the partner", "/catalog/datasets/rich", None, method="GET")).json
        right = {**dataset["hasPolicy"][0], "target": "rich"}
        own, terms_alone = meaning(right), meaning(mutants.terms_of(right))
        wrong = []
        for mutant in (*mutants.of_terms(right), *mutants.of_context(right)):
            wanted = mutants.oracle(mutant, own, {"target": "rich", "@id": right["@id"]})
            play = Play(world, "negotiation", models.PROVIDER)
            document = message(play, "request", "offer", mutant, callbackAddress=world.partner.dsp)
            status = (await play.begin_there("request", document)).status
            sent = None
            if status == 201:
                await world.settle()
                sent = world.site.sendings[-1].document
                await world.answer(world.site.sendings[-1])
            agreed = sent is not None and "agreement" in sent
            # what a request says besides the terms is not agreed to, nor is the partner refused for it
            beside = (
                wanted == OTHER and agreed and mutants.means(mutants.terms_of(mutant.policy), terms_alone)
            )
            counts[mutant.kind, wanted] += 1
            if (
                (wanted == SAME and not agreed)
                or (wanted == OTHER and agreed and not beside)
                or status not in {201, 400}
            ):
                wrong.append(
                    (status, wanted, agreed, mutant.kind, mutant.where, mutant.context, mutant.policy)
                )
            if agreed:
                stored = await world.site.agreement(play.id)
                if meaning(sent["agreement"]) != own or meaning(stored.document) != own:
                    wrong.append(("agreed", wanted, mutant.kind, mutant.where, sent["agreement"]))
        assert wrong == [], len(wrong)

    try:
        world.run(all_of_them())
        world.close()
    finally:
        world.end()
    counted(counts, 1200)


def test_an_offer_that_a_partner_makes_is_kept_as_it_was_made(world):
    counts: Counter[tuple[str, str]] = Counter()

    async def all_of_them() -> None:
        right = {"@id": "urn:o", "@type": "Offer", **POLICY, "target": ASSET}
        own, wrong = meaning(right), []
        for mutant in (*mutants.of_terms(right), *mutants.of_context(right)):
            wanted = mutants.oracle(mutant, own, {"target": ASSET})
            play = Play(world, "negotiation", models.CONSUMER)
            document = message(play, "offer", "offer", mutant, callbackAddress=world.partner.dsp)
            status = (await play.begin_there("offer", document)).status
            counts[mutant.kind, wanted] += 1
            if status not in {201, 400} or (wanted == SAME and status != 201):
                wrong.append((status, wanted, mutant.kind, mutant.where, mutant.context, mutant.policy))
            if status == 201:
                stored = (await world.site.negotiation(play.id)).offer
                if verbatim(stored) != verbatim(mutant.policy):
                    wrong.append(("stored", wanted, mutant.kind, mutant.where, stored))
        assert wrong == [], len(wrong)

    world.run(all_of_them())
    counted(counts, 1200)


def test_an_offer_of_a_catalog_is_asked_for_as_it_stands_there():
    counts: Counter[tuple[str, str]] = Counter()
    right = {"@id": "urn:o", "@type": "Offer", **POLICY}
    own, wrong = meaning(right), []
    for mutant in mutants.of_terms(right):
        wanted = mutants.oracle(mutant, own, {})
        counts[mutant.kind, wanted] += 1
        try:
            chosen = policies.read_offer({"policy": mutant.policy})
            offer = negotiation.message_offer(chosen.terms, offer_id=chosen.id or "urn:o", target="asset")
            negotiation.check_offer(offer)
        except errors.InvalidInputError:
            if wanted == SAME:
                wrong.append(("refused", mutant.kind, mutant.where, mutant.policy))
            continue
        request = messages.ContractRequestMessage(
            context=[terms.CONTEXT],
            id="urn:m",
            consumer_pid="urn:c",
            offer=offer,
            callback_address="https://x",
        )
        read, _ = codec.decode(messages.encode(request), messages.ContractRequestMessage)
        try:
            same = meaning(read.offer) == meaning(mutant.policy)
        except mutants.UnreadableError:
            same = mutant.lenient
        if not same:
            wrong.append(("asked", wanted, mutant.kind, mutant.where, read.offer, mutant.policy))
    assert wrong == [], len(wrong)
    counted(counts, 1200)
