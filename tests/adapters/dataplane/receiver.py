"""A receiver as a process. Usage: receiver.py URL FOLDER; prints what it received, CPU and peak memory as JSON."""

import functools
import json
import resource
import sys
from pathlib import Path

import uvloop

from comity.dataplane import pull
from comity.net import http


async def main(url, folder):
    client = http.HttpClient(http.Guard(insecure=True))
    try:
        received = await pull.Pull(functools.partial(client.stream, "GET")).run(
            url, "Bearer " + "t" * 43, folder
        )
    finally:
        await client.close()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    told = {
        "sha256": received.sha256,
        "size_bytes": received.size_bytes,
        "fetched_bytes": received.fetched_bytes,
    }
    print(json.dumps(told | {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_kib": int(peak.split()[1])}))  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
