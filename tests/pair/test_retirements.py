"""Which agreement is used again: one that stands, whatever became of its transfers, and none that was retired."""

import msgspec
import pytest

from comity.controlplane import decide, get, retirements, standing
from comity.dataplane.kept import STORE
from comity.dsp import terms, transfer
from comity.management.retirements import Retirement
from support import wire
from support.pair import wait_for


async def got(pair):
    """Get the asset into the store; how it ended."""
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", STORE)

    async def ended():
        found = await get.status(pair.consumer.connector, begun.id)
        return found if found["stage"] in {get.COMPLETED, get.FAILED} else None

    found = await wait_for(ended)
    for site in pair:
        await wait_for(lambda site=site: at_rest(site))
    return found


async def at_rest(site):
    return not await site.outbox()


async def negotiations(site):
    return len(await site.rows("SELECT id FROM negotiation"))


async def test_an_agreement_whose_transfers_were_ended_or_refused_is_used_again(pair):
    await pair.provider.publish(policy=wire.constrained("count", "lteq", "3"))
    first = await got(pair)
    assert first["stage"] == get.COMPLETED
    (negotiation,) = await pair.consumer.rows("SELECT id FROM negotiation")
    stopped = await pair.consumer.ask_for_data(negotiation[0])
    await pair.consumer.reaches(stopped.id, terms.STARTED)
    await pair.consumer.move(stopped.id, decide.TERMINATE, reason="not now")
    await pair.consumer.reaches(stopped.id, terms.TERMINATED)
    assert (await got(pair))["stage"] == get.COMPLETED
    for _ in range(2):  # a new agreement begins no new count
        refused = await got(pair)
        assert (refused["stage"], refused["agreementId"]) == (get.FAILED, first["agreementId"])
        assert "count lteq 3" in refused["error"]
    assert await negotiations(pair.consumer) == 1


async def test_a_retired_agreement_is_told_as_such_and_then_another_is_made(pair):
    await pair.provider.publish()
    first = await got(pair)
    await retirements.retire(
        pair.provider.connector, Retirement(agreement_id=first["agreementId"], reason="no longer made")
    )
    refused = await got(pair)
    assert (refused["stage"], refused["agreementId"]) == (get.FAILED, first["agreementId"])
    assert "this agreement was retired: no longer made" in refused["error"]
    second = await got(pair)
    assert second["stage"] == get.COMPLETED
    assert second["agreementId"] != first["agreementId"]
    assert await negotiations(pair.consumer) == 2


ENDED = transfer.Transfer(
    id="urn:t",
    role=terms.CONSUMER,
    counterparty_id="did:web:alpha",
    counterparty_address="https://alpha/dsp",
    counterparty_pid=None,
    state=terms.TERMINATED,
    version=1,
    agreement_id="urn:a",
    asset_id="asset",
    format=transfer.PULL,
    created_at=1,
    updated_at=1,
)


@pytest.mark.parametrize(
    ("over", "changes"),
    [
        (True, {"error": "https://alpha/dsp/transfers/request answers with status 409: agreement not valid"}),
        (True, {"error": "this agreement was retired: old", "counterparty_pid": "urn:p"}),
        (
            False,
            {"error": "https://alpha/ answers with status 400: there is no revision 3 of it", "revision": 3},
        ),
        (
            False,
            {"error": "the partner could not be reached for 72 hours: https://a answers with status 503"},
        ),
        (False, {"error": "not wanted any more"}),
        (False, {"error": "the policy does not allow it: count lteq 3", "counterparty_pid": "urn:p"}),
        (False, {"error": "revision 2 was recalled: wrong", "counterparty_pid": "urn:p"}),
        (False, {"error": "https://alpha answers with status 409: x", "counterparty_pid": "urn:p"}),
        (False, {"error": "", "state": terms.COMPLETED}),
    ],
)
def test_only_what_the_partner_says_of_the_agreement_itself_ends_it(over, changes):
    assert standing._says_over(msgspec.structs.replace(ENDED, **changes)) is over
