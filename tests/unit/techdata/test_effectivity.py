"""Which revision applies to a serial number at a plant: one answer, the same whatever the order of what is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import InvalidInputError
from comity.techdata import effectivity
from comity.techdata.effectivity import Effectivity, Question, Revision, serial_key

SERIALS = ["", "SN-1", "SN-2", "SN-9", "SN-10", "SN-10A", "SN-100", "sn-2", "X"]
EFFECTIVITY = st.builds(
    Effectivity,
    part=st.sampled_from(["", "P1", "P2"]),
    serial_from=st.sampled_from(SERIALS),
    serial_to=st.sampled_from(SERIALS),
    plants=st.lists(st.sampled_from(["A", "B"]), max_size=2, unique=True).map(tuple),
)
MEANT = st.lists(EFFECTIVITY, max_size=3).map(tuple)
STATES = [effectivity.RELEASED, effectivity.SUPERSEDED, effectivity.RECALLED]
REVISIONS = st.lists(st.tuples(st.sampled_from(STATES), MEANT), max_size=5).map(
    lambda listed: [
        Revision(number=number, state=state, effectivity=meant)
        for number, (state, meant) in enumerate(listed, 1)
    ]
)
QUESTIONS = st.builds(
    Question,
    part=st.sampled_from(["", "P1", "P2", "P3"]),
    serial=st.sampled_from(SERIALS),
    plant=st.sampled_from(["", "A", "B", "C"]),
)


@given(REVISIONS, QUESTIONS, st.randoms())
def test_one_revision_applies_whatever_the_order_in_which_they_are_known(revisions, question, chance):
    answer = effectivity.applies(revisions, question)
    shuffled = list(revisions)
    chance.shuffle(shuffled)
    assert effectivity.applies(shuffled, question) == answer
    able = [
        each.number
        for each in revisions
        if each.state == effectivity.RELEASED and effectivity.is_meant(each.effectivity, question)
    ]
    assert answer.revision == max(able, default=None)
    assert answer.why


@given(REVISIONS, QUESTIONS, st.dictionaries(st.integers(1, 5), st.lists(st.sampled_from("abc"), max_size=4)))
def test_only_deviations_from_the_revision_that_applies_are_named(revisions, question, granted):
    answer = effectivity.applies(revisions, question, granted)
    assert answer.deviations == tuple(sorted(set(granted.get(answer.revision, ()))))


@given(MEANT, MEANT, QUESTIONS)
def test_what_covers_is_meant_for_all_that_the_older_one_is(newer, older, question):
    if effectivity.covers(newer, older) and effectivity.is_meant(older, question):
        assert effectivity.is_meant(newer, question)


@given(MEANT, MEANT, QUESTIONS)
def test_what_both_are_meant_for_is_an_overlap(one, other, question):
    if effectivity.is_meant(one, question) and effectivity.is_meant(other, question):
        assert effectivity.overlap(one, other)


def test_serial_numbers_have_their_natural_order():
    ordered = [
        "",
        "1",
        "9",
        "10",
        "A",
        "SN-1",
        "SN-9",
        "SN-10",
        "SN-10A",
        "SN-10B",
        "SN-11",
        "SN-100",
        "sn-1",
    ]
    mixed = [*ordered[1::2], *ordered[::2]]
    assert sorted(mixed, key=serial_key) == ordered


def test_zeros_before_a_number_do_not_count_and_blanks_around_it_neither():
    assert serial_key("SN-0009") == serial_key(" SN-9 ")
    assert serial_key("SN-000") == serial_key("SN-0") < serial_key("SN-1")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_have_an_order(one, other):
    assert (serial_key(one) < serial_key(other)) or (serial_key(one) >= serial_key(other))


def test_a_number_of_a_thousand_digits_has_its_place():
    assert serial_key("SN-" + "9" * 10_000) < serial_key("SN-1" + "0" * 10_000)


def a_range(first="", last="", **more):
    return (Effectivity(serial_from=first, serial_to=last, **more),)


def test_the_newest_released_one_wins_where_two_overlap():
    revisions = [
        Revision(number=1, effectivity=a_range("SN-1", "SN-20")),
        Revision(number=2, effectivity=a_range("SN-10", "SN-30")),
    ]
    asked = {
        serial: effectivity.applies(revisions, Question(serial=serial))
        for serial in ("SN-9", "SN-10", "SN-30")
    }
    assert [each.revision for each in asked.values()] == [1, 2, 2]
    assert asked["SN-10"].why == "the newest of 2 released revisions that are meant for it"


def test_a_unit_of_which_too_little_is_known_has_no_revision_that_is_limited():
    revisions = [Revision(number=1, effectivity=a_range("SN-1", plants=("P1",)))]
    for question, unsaid in (
        (Question(), "; say which serial number and which plant: some revisions are meant for one only"),
        (Question(serial="SN-2"), "; say which plant: some revisions are meant for one only"),
        (Question(plant="P1"), "; say which serial number: some revisions are meant for one only"),
        (Question(serial="SN-0", plant="P1"), ""),
    ):
        answer = effectivity.applies(revisions, question)
        assert (answer.revision, answer.why) == (None, f"no revision is meant for it{unsaid}")
    assert effectivity.applies(revisions, Question(serial="SN-2", plant="P1")).revision == 1


def test_a_recalled_revision_leaves_what_it_superseded_without_one():
    revisions = [
        Revision(number=1, state=effectivity.SUPERSEDED),
        Revision(number=2, state=effectivity.RECALLED),
    ]
    answer = effectivity.applies(revisions, Question(serial="SN-1"))
    assert answer.revision is None
    assert answer.why == "revision 2, the newest that is meant for it, was recalled"
    assert effectivity.applies([], Question()).why == "there is no revision"


@pytest.mark.parametrize(
    ("meant", "place"),
    [
        (a_range("SN-10", "SN-9"), "$.effectivity[0]"),
        (a_range("x" * 201), "$.effectivity[0].serialFrom"),
        (a_range(" SN-1"), "$.effectivity[0].serialFrom"),
        (a_range(part="a\nb"), "$.effectivity[0].part"),
        (a_range(plants=("P1", "")), "$.effectivity[0].plants"),
        ((Effectivity(),) * 1001, "$.effectivity"),
        (a_range(plants=tuple(f"plant {at:0180}" for at in range(400))), "$.effectivity"),
    ],
)
def test_an_effectivity_that_cannot_be_meant_is_refused_with_its_place(meant, place):
    with pytest.raises(InvalidInputError) as refused:
        effectivity.check(meant)
    assert refused.value.path == place


def test_an_effectivity_is_read_as_it_is_written_and_says_itself():
    meant = effectivity.read([{"part": "P", "serialFrom": "1", "plants": ["Bremen"]}])
    assert meant == a_range("1", part="P", plants=("Bremen",))
    assert str(meant[0]) == "part P; serial numbers 1 to the last; plants Bremen"
    assert str(Effectivity()) == "everything"
    for bad in ("x", [{"colour": "red"}], [{"part": 1}]):
        with pytest.raises(InvalidInputError, match="no list of effectivities"):
            effectivity.read(bad)


@pytest.mark.parametrize(
    ("known", "answer", "expected"),
    [
        ({1, 2, 3}, 2, ([], 0)),
        ({3}, 3, ([], 0)),
        ({3}, None, ([1, 2], 2)),
        ({1, 9}, 1, ([2, 3, 4], 7)),
        ({2**31 - 1}, None, ([1, 2, 3], 2**31 - 2)),
        (set(), None, ([], 0)),
    ],
)
def test_a_newer_revision_that_is_not_known_may_apply_and_an_older_one_only_where_none_does(
    known, answer, expected
):
    assert effectivity.unknown(known, answer, 3) == expected
