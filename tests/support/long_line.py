"""A long, lossy line between two network namespaces, in user space: for kernels without `netem`. Needs root.

Each end is a TUN device, moved into a namespace; a process for each direction hands packets on after a delay, but for
those that it drops at random. Run as a program it is such a process: `long_line.py IN_FD OUT_FD DELAY_S LOSS SEED`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEAD = 0x0001 | 0x1000
_QUEUE = 20_000
"""Packets that may be under way in one direction: more are dropped, as a router would."""


@dataclass(frozen=True)
class End:
    """One end of the line: a namespace with an address."""

    namespace: str
    address: str

    def words(self, *command: str) -> list[str]:
        """The command, run at this end."""
        return ["ip", "netns", "exec", self.namespace, *command]


def obstacle() -> str:
    """Why there can be no such line on this machine, empty if there can."""
    if os.geteuid() != 0:
        return "namespaces and TUN devices need root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    probe = f"probe{os.getpid()}"
    try:
        subprocess.run(["ip", "netns", "add", probe], check=True, capture_output=True)
        subprocess.run(["ip", "netns", "del", probe], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespace can be made: {error}"
    return ""


@contextlib.contextmanager
def between(*, round_trip_s: float, loss: float) -> Iterator[tuple[End, End]]:
    """Make two ends, and the line between them."""
    with contextlib.ExitStack() as stack:
        ends, numbers = [], []
        for at in (1, 2):
            name = f"line{os.getpid()}-{at}"
            number = _tun(name[:15])
            stack.callback(os.close, number)
            numbers.append(number)
            ends.append(End(name, f"10.97.0.{at}"))
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            _ip("link", "set", name[:15], "netns", name)
            _ip("-n", name, "address", "add", f"10.97.0.{at}/24", "dev", name[:15])
            for device in ("lo", name[:15]):
                _ip("-n", name, "link", "set", device, "up")
        for source, sink in (numbers, numbers[::-1]):
            words = [sys.executable, __file__, str(source), str(sink), str(round_trip_s / 2), str(loss), "7"]
            process = subprocess.Popen(words, pass_fds=(source, sink))
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield ends[0], ends[1]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _tun(name: str) -> int:
    number = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(number, _TUNSETIFF, struct.pack("16sH", name.encode(), _TUN_WITHOUT_HEAD))
    return number


def forward(source: int, sink: int, delay_s: float, loss: float, seed: int) -> None:
    """Hand packets on, each after the delay, but for those that are lost."""
    chance = random.Random(seed + source)
    under_way: deque[tuple[float, bytes]] = deque()
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else 1.0
        if poll.poll(wait_s * 1000):
            with contextlib.suppress(BlockingIOError):
                for _ in range(64):
                    packet = os.read(source, 2048)
                    if chance.random() >= loss and len(under_way) < _QUEUE:
                        under_way.append((time.monotonic() + delay_s, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            with contextlib.suppress(OSError):
                os.write(sink, under_way.popleft()[1])


if __name__ == "__main__":
    forward(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
