"""Inquiries: what may follow on what, by whom; to what a deviation is limited, and for which units it holds."""

import itertools

import pytest

from comity import errors
from comity.techdata import inquiry
from comity.techdata.inquiry import Limits

DAY = 24 * 3600 * 1000
LOTS = Limits(lot_from="L-9", lot_to="L-12")


def why_not(kind, state, event, *, of_owner):
    granted = state in {inquiry.GRANTED, inquiry.REVISED, inquiry.REVOKED}
    return inquiry.why_not(kind, state, event, of_owner=of_owner, granted=granted)


@pytest.mark.parametrize("kind", inquiry.KINDS)
@pytest.mark.parametrize("event", inquiry.EVENTS)
def test_each_side_does_what_is_its_own_and_only_while_it_is_open(kind, event):
    owner, asker = (why_not(kind, inquiry.OPEN, event, of_owner=of_owner) for of_owner in (True, False))
    if event == inquiry.SAY:
        assert (owner, asker) == ("", "")
    elif event == inquiry.WITHDRAW:
        assert (owner, asker) == ("only who asked may withdraw it", "")
    else:
        assert asker == "only the owner of the revision may decide it"
        fits = kind in {
            inquiry.ANSWER: {inquiry.QUESTION, inquiry.CHANGE},
            inquiry.GRANT: {inquiry.DEVIATION, inquiry.CHANGE},
            inquiry.REVOKE: set(),  # nothing was granted yet
        }.get(event, inquiry.KINDS)
        assert (owner == "") == fits
    for state in set(inquiry.STATES) - {inquiry.OPEN}:
        for of_owner in (True, False):
            later = event == inquiry.SAY or (
                of_owner
                and (event, state)
                in {
                    (inquiry.REVISE, inquiry.ANSWERED),
                    (inquiry.REVISE, inquiry.GRANTED),
                    *(
                        (inquiry.REVOKE, each)
                        for each in (inquiry.GRANTED, inquiry.REVISED)
                        if kind != "question"
                    ),
                }
            )
            assert (why_not(kind, state, event, of_owner=of_owner) == "") == later


def test_only_what_was_granted_is_revoked_and_once():
    for state in (inquiry.OPEN, inquiry.REVISED):
        assert "no deviation was granted" in inquiry.why_not("change", state, inquiry.REVOKE, of_owner=True)
    assert (
        why_not("deviation", inquiry.REVOKED, inquiry.REVOKE, of_owner=True) == "it is over: it was revoked"
    )
    assert why_not("question", inquiry.ANSWERED, inquiry.REVOKE, of_owner=True).startswith(
        "a question is not revoked"
    )


@pytest.mark.parametrize("began", [inquiry.OPEN, inquiry.WITHDRAWN])
@pytest.mark.parametrize("order", [*itertools.permutations((inquiry.GRANT, inquiry.REVISE, inquiry.REVOKE))])
def test_in_whatever_order_the_owners_word_arrives_who_asked_ends_where_the_owner_is(began, order):
    state, done, coming = began, set(), list(order)
    while coming:
        event, granted = coming.pop(0), inquiry.GRANT in done
        as_heard = inquiry.heard(state, event, granted=granted, revised=inquiry.REVISE in done)
        if inquiry.is_early("change", as_heard, event, granted=granted):
            coming.append(event)  # it is told again
            continue
        assert inquiry.why_not("change", as_heard, event, of_owner=True, granted=granted) == ""
        state = inquiry.after(state, event)
        done.add(event)
    assert state == inquiry.REVOKED
    for event in order:  # none of them a second time
        as_heard = inquiry.heard(state, event, granted=True, revised=True)
        assert "over" in inquiry.why_not("change", as_heard, event, of_owner=True, granted=True)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (None, "a deviation is limited"),
        (Limits(), "a deviation is limited"),
        (Limits(conditions="Mark them."), "a deviation is limited"),
        (Limits(lot_from="1"), "a first and a last number"),
        (Limits(serial_to="1", quantity=1), "a first and a last number"),
        (Limits(lot_from="L-10", lot_to="L-9"), "L-10 comes after L-9"),
        (Limits(until="soon"), "a day is written as"),
        (Limits(quantity=1, conditions="a\x07"), "no control characters"),
        (Limits(lot_from="1\n", lot_to="2"), "no control characters"),
    ],
)
def test_a_deviation_that_is_not_limited_is_refused(limits, said):
    with pytest.raises(errors.InvalidInputError, match=said):
        inquiry.check_limits(limits)


@pytest.mark.parametrize(
    "wrong", [{"lotFrom": "1" * 101}, {"until": "2027-01-001"}, {"quantity": 2**60}, {"x": 1}]
)
def test_limits_that_cannot_be_are_refused_with_their_place(wrong):
    with pytest.raises(errors.InvalidInputError) as caught:
        inquiry.read_limits(wrong)
    assert caught.value.path in {f"$.limits.{next(iter(wrong))}", "$.limits"}


def test_a_deviation_holds_for_its_lots_serial_numbers_and_days_and_for_nothing_that_is_not_told():
    for lot, holds in (("L-9", True), ("L-10", True), ("L-12", True), ("L-13", False), ("", False)):
        assert inquiry.covers(LOTS, at_ms=0, lot=lot) is holds
    both = Limits(lot_from="1", lot_to="2", serial_from="7", serial_to="8")
    assert inquiry.covers(both, at_ms=0, lot="1", serial="7")
    assert not inquiry.covers(both, at_ms=0, serial="7")
    until = Limits(until="1970-01-02")
    assert [inquiry.covers(until, at_ms=at) for at in (0, 2 * DAY - 1, 2 * DAY)] == [True, True, False]
    assert inquiry.covers(Limits(quantity=5), at_ms=0)


def test_limits_are_said_in_words_and_kept_without_what_is_empty():
    limits = Limits(lot_from="1", lot_to="2", quantity=3, until="2027-01-31")
    assert limits.words() == "lots 1 to 2, 3 pieces, until 2027-01-31"
    assert limits.document() == {"lotFrom": "1", "lotTo": "2", "quantity": 3, "until": "2027-01-31"}


def test_it_is_overdue_from_the_day_after_the_one_by_which_it_was_to_be_answered():
    overdue = [inquiry.is_overdue(inquiry.OPEN, "1970-01-01", at) for at in (DAY - 1, DAY)]
    assert overdue == [False, True]
    assert not inquiry.is_overdue(inquiry.ANSWERED, "1970-01-01", DAY)
    assert not inquiry.is_overdue(inquiry.OPEN, "", DAY)


def test_what_is_sent_is_what_is_read():
    asked = inquiry.Asked(
        id="urn:i",
        agreement_id="urn:a",
        kind=inquiry.DEVIATION,
        asset_id="asset",
        manifest_sha256="0" * 64,
        text="May we?\n\tPlease.",
        limits=LOTS,
        proposal=inquiry.Proposal(asset_id="own", manifest_sha256="1" * 64),
        answer_by="2027-01-31",
        by="carla",
    )
    assert inquiry.read_asked(asked.document()) == asked
    event = inquiry.Event(
        agreement_id="urn:a", inquiry_id="urn:i", event=inquiry.GRANT, by=["anna"], limits=LOTS
    )
    assert inquiry.read_event(event.document()) == event
    revoked = {"agreementId": "urn:a", "inquiryId": "urn:i", "event": inquiry.REVOKE, "text": "M6 breaks."}
    with pytest.raises(errors.InvalidInputError, match="not said when"):
        inquiry.read_event({"@type": inquiry.EVENT_NOTICE, **revoked})
    assert inquiry.read_event({"@type": inquiry.EVENT_NOTICE, **revoked, "at": 7}).at == 7


ASKED = Limits(serial_from="10", serial_to="20", until="2999-01-01", conditions="mark crate")


@pytest.mark.parametrize(
    ("said", "beyond"),
    [
        (None, ""),
        (Limits(serial_from="12", serial_to="14"), ""),
        (Limits(quantity=3, until="2998-01-01"), ""),
        (
            Limits(serial_from="10", serial_to="500"),
            "serial numbers 10 to 500, asked for: serial numbers 10 to 20",
        ),
        (Limits(until="2999-01-02"), "until 2999-01-02, asked for: 2999-01-01"),
        (Limits(conditions="none"), "other conditions than those asked for"),
    ],
)
def test_what_is_not_said_stays_as_it_was_asked_and_what_goes_beyond_is_named(said, beyond):
    within = inquiry.within(ASKED, said)
    assert inquiry.beyond(ASKED, within) == beyond
    kept = {name for name, value in ASKED.document().items() if value == within.document().get(name)}
    assert kept >= ASKED.document().keys() - (said.document() if said else {}).keys()


def test_limits_that_were_asked_and_are_not_granted_are_named():
    asked = Limits(lot_from="1", lot_to="2", quantity=5, until="2999-01-01")
    assert inquiry.beyond(asked, Limits(serial_from="1", serial_to="2")) == (
        "any lot, asked for: lots 1 to 2; any number of pieces, asked for: 5; for ever, asked for: 2999-01-01"
    )
    assert inquiry.within(None, LOTS) == LOTS
    assert inquiry.beyond(None, LOTS) == ""
