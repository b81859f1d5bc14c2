"""How much one partner may have at once: places for processes, messages that are refused."""

from __future__ import annotations

import pytest

from comity import errors
from comity.controlplane import limits
from comity.dsp import terms

HOUR_MS = 3600 * 1000
NOW_MS = 1_800_000_000_000


@pytest.fixture
def counted(monkeypatch):
    """How many processes of the partner are open, and how often that was asked."""
    found = {"open": 0, "asked": 0}

    async def count(tx, partner_id):
        found["asked"] += 1
        return found["open"]

    monkeypatch.setitem(limits._COUNT, terms.NEGOTIATION, count)
    monkeypatch.setitem(limits._COUNT, terms.TRANSFER, count)
    return found


async def take(made, now_ms=NOW_MS, partner="p", kind=terms.NEGOTIATION):
    await made.take_place(None, kind, partner, now_ms)


async def test_open_processes_are_counted_again_after_a_hundred_new_ones(counted):
    made = limits.Limits(open_processes=1000)
    for _ in range(200):
        await take(made)
    assert counted["asked"] == 2


async def test_a_partner_with_too_many_is_told_when_to_come_again_and_is_not_counted_meanwhile(counted):
    made = limits.Limits(open_processes=5)
    for _ in range(5):
        await take(made)
    counted["open"] = 5
    for _ in range(50):
        with pytest.raises(errors.CrowdedError, match="5 negotiations between us are open") as caught:
            await take(made)
    assert caught.value.retry_after_s == 10
    assert counted["asked"] == 2
    counted["open"] = 4
    await take(made, partner="another")
    await take(made, NOW_MS + limits.FULL_MS)


async def test_each_kind_has_places_of_its_own(counted):
    made = limits.Limits(open_processes=1)
    await take(made)
    await take(made, kind=terms.TRANSFER)


async def test_a_clock_that_jumps_back_keeps_nobody_out(counted):
    made = limits.Limits(open_processes=1)
    counted["open"] = 1
    with pytest.raises(errors.CrowdedError):
        await take(made)
    counted["open"] = 0
    await take(made, NOW_MS - HOUR_MS)


def test_so_many_messages_may_be_refused_and_then_one_now_and_then():
    made = limits.Limits(refused_per_hour=60)
    for _ in range(60):
        made.check_refusals("p", NOW_MS)
        made.note_refusal("p", NOW_MS)
    with pytest.raises(errors.CrowdedError) as caught:
        made.check_refusals("p", NOW_MS)
    assert caught.value.retry_after_s == 60
    made.check_refusals("another", NOW_MS)
    later = NOW_MS + 60_000
    made.check_refusals("p", later)
    made.note_refusal("p", later)
    with pytest.raises(errors.CrowdedError):
        made.check_refusals("p", later)


def test_after_an_hour_all_is_as_before_and_never_more():
    made = limits.Limits(refused_per_hour=10)
    for _ in range(10):
        made.note_refusal("p", NOW_MS)
    for hours in (1, 100):
        assert made._left("p", NOW_MS + hours * HOUR_MS) == 10
