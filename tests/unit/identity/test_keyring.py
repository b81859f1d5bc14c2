"""Which key signs and which are published, at every moment of a rotation and a retirement."""

import pytest

from comity import errors
from comity.identity import keyring
from comity.identity.keyring import Key, Keyring

S = 1000
NOW = 1_800_000_000 * S
RING = Keyring((Key(kid="key-1", jwk={"x": "1"}),))
LEAD, GRACE = keyring.LEAD_MS, keyring.GRACE_MS


def rotated(ring=RING, at=NOW, **more):
    return keyring.rotated(ring, {"x": "2"}, **{"now_ms": at, "lead_ms": LEAD, "grace_ms": GRACE, **more})


def published(ring, at):
    return [each.kid for each in ring.published(at)]


def test_the_first_key_signs_and_is_published_for_ever():
    for at in (0, NOW, NOW * 10):
        assert RING.signing(at).kid == "key-1"
        assert published(RING, at) == ["key-1"]


@pytest.mark.parametrize(
    ("after", "signs", "shown"),
    [
        (0, "key-1", ["key-1", "key-2"]),
        (LEAD - 1, "key-1", ["key-1", "key-2"]),
        (LEAD, "key-2", ["key-1", "key-2"]),
        (LEAD + GRACE - 1, "key-2", ["key-1", "key-2"]),
        (LEAD + GRACE, "key-2", ["key-2"]),
        (LEAD + 1000 * GRACE, "key-2", ["key-2"]),
        (-1, "key-1", ["key-1", "key-2"]),
        (-NOW, "key-1", ["key-1", "key-2"]),
    ],
)
def test_a_new_key_is_published_at_once_signs_after_its_lead_and_the_old_one_leaves_after_its_grace(
    after, signs, shown
):
    ring = rotated()
    assert ring.signing(NOW + after).kid == signs
    assert published(ring, NOW + after) == shown


def test_the_signing_key_is_always_a_published_one_whatever_was_rotated_and_retired_when():
    ring = RING
    for turn in range(1, 8):
        at = NOW + turn * 50 * S
        ring = keyring.rotated(ring, {}, now_ms=at, lead_ms=turn * 40 * S, grace_ms=turn * 30 * S)
        if turn % 3 == 0:
            ring = keyring.retired(ring, f"key-{turn - 1}", now_ms=at + S)
        for moment in range(NOW, NOW + 1000 * S, 5 * S):
            assert ring.signing(moment).published(moment)


def test_a_second_rotation_does_not_lengthen_the_stay_of_a_key_that_leaves():
    once = rotated()
    twice = rotated(once, NOW + LEAD)
    first, second, third = twice.keys
    assert first.leaves_at == once.keys[0].leaves_at
    assert second.leaves_at == NOW + LEAD + LEAD + GRACE
    assert third.leaves_at is None
    assert [each.kid for each in twice.keys] == ["key-1", "key-2", "key-3"]


def test_a_rotation_waits_for_the_one_before_it():
    with pytest.raises(errors.ConflictError, match=r"key-2 .* will sign in 331 s"):
        keyring.check_rotation(rotated(), now_ms=NOW, lead_ms=0, grace_ms=0)
    keyring.check_rotation(rotated(), now_ms=NOW + LEAD, lead_ms=0, grace_ms=0)


@pytest.mark.parametrize(("name", "value"), [("lead_ms", -1), ("grace_ms", keyring.MAX_MS + 1)])
def test_a_time_out_of_range_is_refused(name, value):
    with pytest.raises(errors.InvalidInputError) as caught:
        keyring.check_rotation(RING, now_ms=NOW, **{"lead_ms": 0, "grace_ms": 0, name: value})
    assert caught.value.path == f"$.{name.removesuffix('_ms')}Seconds"


def test_a_retired_key_leaves_at_once_and_its_public_half_stays_in_the_ring():
    ring = keyring.retired(rotated(), "did:web:us#key-1", now_ms=NOW + LEAD)
    assert published(ring, NOW + LEAD) == ["key-2"]
    assert ring.find("key-1").jwk == {"x": "1"}
    again = keyring.retired(ring, "key-1", now_ms=NOW + 2 * LEAD)
    assert again == ring


def test_the_old_key_signs_on_if_the_waiting_one_is_retired():
    ring = keyring.retired(rotated(), "key-2", now_ms=NOW + S)
    assert ring.signing(NOW + S).kid == "key-1"
    assert ring.signing(NOW + LEAD).kid == "key-1"


def test_the_waiting_key_signs_from_the_moment_on_at_which_the_old_one_is_retired():
    ring = keyring.retired(rotated(), "key-1", now_ms=NOW + S)
    assert ring.signing(NOW + S) == ring.find("key-2")
    assert ring.find("key-2").signs_from == NOW + S
    assert ring.waiting(NOW + S) is None


@pytest.mark.parametrize(
    ("ring", "kid", "after", "lead"),
    [
        (RING, "key-1", 0, 0),
        (rotated(), "key-1", S, None),
        (rotated(), "key-2", S, LEAD),
        (rotated(), "key-1", LEAD, None),
        (rotated(), "key-2", LEAD, LEAD),
        (rotated(), "key-2", LEAD + GRACE - S, 0),
        (rotated(), "key-2", LEAD + GRACE, 0),
    ],
    ids=str,
)
def test_a_new_key_comes_with_a_lead_only_if_an_older_one_can_sign_meanwhile(ring, kid, after, lead):
    assert keyring.successor_lead(ring, kid, now_ms=NOW + after) == lead


def test_there_is_never_no_key_without_a_word():
    empty = keyring.retired(RING, "key-1", now_ms=NOW)
    with pytest.raises(errors.SettingsError, match="no signing key"):
        empty.signing(NOW)


def test_a_key_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(errors.NotFoundError) as caught:
        keyring.retired(rotated(), "key-9", now_ms=NOW)
    assert caught.value.hint == "there are: key-1, key-2"
