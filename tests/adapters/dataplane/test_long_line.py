"""How fast a file comes over a long, lossy line, in times of one plain stream over the same line.

TLS, 120 ms there and back, 1 % of the packets lost each way; TCP as Linux has it by default (cubic). Takes a minute or
two, so it runs with `make longline` only (`COMITY_LONG_LINE` is the size of the file in MiB), and needs root.
"""

import json
import os
import random
import subprocess
import sys
import time

import pytest

from adapters.dataplane import processes
from support import authority, long_line

MIB = 2**20
SIZE_MIB = int(os.environ.get("COMITY_LONG_LINE", "0"))
CONGESTION = os.environ.get("COMITY_CONGESTION", "cubic")
ROUND_TRIP_S, LOSS = 0.12, 0.01

pytestmark = [
    pytest.mark.skipif(not SIZE_MIB, reason="it takes minutes: make longline"),
    pytest.mark.timeout(600 + 12 * SIZE_MIB),
]


def test_a_large_file_comes_twice_as_fast_as_over_one_plain_stream(tmp_path, record_property):
    if why := long_line.obstacle():
        pytest.skip(why)
    (tmp_path / "src").mkdir()
    chance = random.Random(8)
    with (tmp_path / "src/big.bin").open("wb") as file:
        for _ in range(SIZE_MIB):
            file.write(chance.randbytes(MIB))
    with long_line.between(round_trip_s=ROUND_TRIP_S, loss=LOSS) as (here, there):
        made = authority.make(tmp_path / "tls", there.address)
        command = [
            sys.executable,
            str(processes.HERE / "provider.py"),
            str(tmp_path / "src"),
            "",
            there.address,
        ]
        provider = subprocess.Popen(
            there.words(*command, made.certificate, made.key),
            stdout=subprocess.PIPE,
            env=processes.ENVIRONMENT | {"CONGESTION": CONGESTION},
        )
        try:
            url = f"https://{there.address}:{int(provider.stdout.readline())}/data/t-1"
            took = {
                how: receive(here, url, tmp_path / how, made.authority, how) for how in ("parallel", "plain")
            }
        finally:
            provider.kill()
            provider.wait()
            provider.stdout.close()
    mb = SIZE_MIB * MIB / 1e6
    figures = {
        "size_mib": SIZE_MIB,
        "congestion": CONGESTION,
        "mb_per_s": {how: round(mb / s, 3) for how, s in took.items()},
        "times": round(took["plain"] / took["parallel"], 2),
    }
    record_property("figures", figures)
    print(json.dumps(figures))  # noqa: T201  a figure to be read
    assert figures["times"] >= 2


def receive(end, url, into, ca_file, how):
    command = [sys.executable, str(processes.HERE / "receiver.py"), url, str(into), ca_file, how]
    began = time.monotonic()
    done = subprocess.run(
        end.words(*command), env=processes.ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["fetched_bytes"] == SIZE_MIB * MIB
    return told.get("took_s", time.monotonic() - began)
