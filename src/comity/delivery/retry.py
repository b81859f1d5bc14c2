"""When to try again: exponential back-off with full jitter, within a horizon. Pure: chance and time are given.

Full jitter (a uniform draw from zero to the ceiling) spreads the retries of many messages after an outage; the ceiling
stays at 30 s, so that both sides come together within a minute after a partner is back.
"""

from __future__ import annotations

BASE_S = 0.25
CEILING_S = 30.0
LONGEST_S = 3600.0
"""No pause is longer, whatever the partner asks for."""
HORIZON_S = 72 * 3600.0
NOT_YET_HORIZON_S = 60.0


def delay_s(
    attempts: int, chance: float, *, asked_s: float | None = None, ceiling_s: float = CEILING_S
) -> float:
    """Return the pause before the next attempt, after `attempts` failed ones; `chance` lies in [0, 1).

    A partner's own wish (`Retry-After`) is a lower bound, up to one hour.
    """
    ceiling = min(ceiling_s, BASE_S * 2.0 ** min(attempts, 20))
    return max(ceiling * chance, min(asked_s or 0.0, LONGEST_S))


def left_s(due_at_ms: int, now_ms: int) -> float:
    """Return the seconds until a time that was written down; zero or less: it is due.

    One that is further away than any pause was written by a clock that ran ahead, and is not waited for.
    """
    pause_s = (due_at_ms - now_ms) / 1000
    return pause_s if pause_s <= LONGEST_S else 0.0


def expired(created_at_ms: int, now_ms: int, *, horizon_s: float = HORIZON_S) -> bool:
    """Return whether a message is too old to be tried again."""
    return now_ms - created_at_ms > horizon_s * 1000
