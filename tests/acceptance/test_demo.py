"""The demo tells its story to the end, and each of its claims is made."""

import re
import subprocess
import sys
import time
from pathlib import Path

from support import processes

DEMO = Path(__file__).parents[2] / "demo" / "run.py"
CLAIMS = (
    r"Alpha Pumps is did:web:127\.0\.0\.1%3A\d+, process \d+",
    r"Beta Works is did:web:127\.0\.0\.1%3A\d+, process \d+",
    r"urn:comity:framework:[0-9a-f-]+#sha256:[0-9a-f]{64}, signed by both; each side holds the other's signature",
    r"published +Pump P-100, revision C",
    r"negotiating +",
    r"agreed +",
    r"4 files, [\d,]+ bytes, every SHA-256 equal",
    r"agreement urn:uuid:[0-9a-f-]+, FINALIZED on both sides",
    r"one letter changed in a copy: .*row \d+",
    r"status 200",
    r"the same token [\d.]+ s later: status 40[13], no data",
    r"SUSPENDED on both sides",
    r"proven: record \d+ has the agreement word for word, signed by both",
    r"proven: the partner cosigned checkpoints of the exporter's log with (\d+) of \1 records",
    r"[\d,]+ bytes hold, read by a process that knows neither side",
    r"one bit flipped: \w.+",
    r"All of it held\. [\d.]+ s\.",
)


def test_demo_holds_in_all_its_claims_within_40_s(record_property):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=processes.environment(),
    )
    took_s = time.monotonic() - began
    record_property("took_s", took_s)
    print(f"the demo took {took_s:.1f} s")  # noqa: T201  a figure to be read
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    at = 0
    for claim in CLAIMS:
        found = re.compile(claim).search(done.stdout, at)
        assert found, f"after {at} characters there is no {claim!r} in\n{done.stdout}"
        at = found.start()
    assert done.stdout.count("the evidence holds") == 2
    total = int(re.search(r"files, ([\d,]+) bytes", done.stdout)[1].replace(",", ""))
    assert total > 20_000_000
    assert took_s < 40
