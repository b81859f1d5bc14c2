"""Ports for what tests start: below those that connections going out get, so they are still free a moment later.

Each of the processes that run tests side by side has a range of its own, and gives every port of it in turn.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket

LOWEST, SPAN = 20_000, 6_000
_side = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
_turns = itertools.count(random.randrange(SPAN))  # a process that a test starts begins somewhere else


def free_port() -> int:
    """Return a port that nobody listens on now, and another one each time."""
    while True:
        port = LOWEST + _side * SPAN + next(_turns) % SPAN
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
