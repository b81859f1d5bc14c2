"""A pair that is stuck or ends under measurement costs its own figures, and no more time than its round has."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def pair(monkeypatch, tmp_path):
    """Two real connectors that have begun, as the bench makes them, and what measures them."""
    monkeypatch.syspath_prepend(BENCH)
    import negotiations  # noqa: PLC0415  scripts beside each other, not a package
    import sides  # noqa: PLC0415

    made = negotiations.Pair("ours", lambda name: sides.Comity(tmp_path, name))
    with made.alone():
        made.begin()
    assert made.lost == ""
    yield made, lambda limit_s: asyncio.run(negotiations.negotiate(made, 4, 2, limit_s))
    made.end()
    for name in ("negotiations", "sides"):
        del sys.modules[name]


def test_stuck_pair_costs_its_round_and_what_was_not_ended_is_said(pair, monkeypatch):
    ours, measured = pair
    with ours.alone():
        offer = ours.consumer.find_offer(ours.provider)
        monkeypatch.setattr(ours.consumer, "find_offer", lambda _provider: offer)
        os.kill(ours.provider.pid, signal.SIGSTOP)
        began = time.monotonic()
        stuck = measured(1.0)
        took_s = time.monotonic() - began
        os.kill(ours.provider.pid, signal.SIGCONT)
        whole = measured(30.0)
    assert ours.lost == ""
    assert took_s < 20
    assert stuck["rate"] == 0
    assert (stuck["begun"], stuck["finalized"], stuck["terminated"]) == (2, 0, 0)
    assert stuck["p50_ms"] is None
    assert (whole["begun"], whole["finalized"], whole["terminated"]) == (4, 4, 0)
    assert whole["rate"] > 0


def test_pair_that_ends_is_taken_out_with_its_reason(pair, capsys):
    ours, measured = pair
    with ours.alone():
        ours.provider.stop()
        measured(1.0)
    assert ours.lost
    assert "ours is measured no more" in capsys.readouterr().err
    assert all(side._process.poll() is not None for side in ours.sides)
