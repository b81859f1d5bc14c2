import pytest

from comity.delivery import retry


@pytest.mark.parametrize(
    ("attempts", "ceiling_s"),
    [(0, 0.25), (1, 0.5), (2, 1.0), (6, 16.0), (7, 30.0), (20, 30.0), (10**9, 30.0)],
)
def test_the_pause_doubles_up_to_thirty_seconds(attempts, ceiling_s):
    assert retry.delay_s(attempts, 0.999_999) == pytest.approx(ceiling_s, rel=1e-5)
    assert retry.delay_s(attempts, 0.5) == ceiling_s / 2


def test_jitter_is_full():
    assert retry.delay_s(7, 0.0) == 0.0
    draws = [retry.delay_s(7, number / 1000) for number in range(1000)]
    assert max(draws) > 29.9
    assert sum(draws) / 1000 == pytest.approx(15, abs=0.1)


@pytest.mark.parametrize(
    ("asked_s", "pause_s"),
    [(None, 0.125), (0.0, 0.125), (-5.0, 0.125), (0.1, 0.125), (7.0, 7.0), (1e9, 3600.0)],
)
def test_the_partners_wish_is_a_lower_bound_up_to_an_hour(asked_s, pause_s):
    assert retry.delay_s(0, 0.5, asked_s=asked_s) == pause_s


def test_a_message_is_tried_for_72_hours():
    horizon_ms = 72 * 3600 * 1000
    assert not retry.expired(1000, 1000 + horizon_ms)
    assert retry.expired(1000, 1001 + horizon_ms)
    assert not retry.expired(1000, 0)
    assert retry.expired(0, 61_000, horizon_s=retry.NOT_YET_HORIZON_S)


def test_both_sides_meet_within_a_minute_after_a_partner_is_back():
    assert retry.CEILING_S <= 60


@pytest.mark.parametrize(
    ("due_in_s", "left_s"), [(30, 30.0), (0, 0.0), (-5, -5.0), (3600, 3600.0), (3601, 0.0)]
)
def test_a_time_further_away_than_any_pause_is_not_waited_for(due_in_s, left_s):
    assert retry.left_s(1_000_000 + 1000 * due_in_s, 1_000_000) == left_s
