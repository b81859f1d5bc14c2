"""A receiver as a process: prints what it received, in which time, CPU and peak memory as JSON.

Usage: receiver.py URL FOLDER [CA_FILE [plain]]; `plain` reads the single file of the package with one GET.
"""

import functools
import hashlib
import json
import os
import resource
import sys
import time
from pathlib import Path

import uvloop

from comity.dataplane import pull
from comity.dataplane.speeds import Speed
from comity.net import http

TOKEN = "Bearer " + "t" * 43


async def read_plain(client, url):
    """Read a file as any client would that knows nothing of ranges."""
    digest, size = hashlib.sha256(), 0
    headers = {"Authorization": TOKEN}
    async with client.stream("GET", url + "/files/big.bin", headers=headers) as answer:
        async for chunk in answer.chunks():
            digest.update(chunk)
            size += len(chunk)
    return pull.Received((pull.ReceivedFile("big.bin", size, digest.hexdigest()),), digest.hexdigest(), size)


async def main(url, folder, ca_file=None, how=""):
    client = http.HttpClient(http.Guard(["10.97.0.0/24"], insecure=True), tls_ca_file=ca_file)
    began = time.monotonic()
    try:
        if how == "plain":
            received = await read_plain(client, url)
        else:
            get = pull.Pull(functools.partial(client.stream, "GET"))
            speed = Speed(int(os.environ.get("AHEAD_MIB", "1")) * 2**20, int(os.environ.get("STREAMS", "8")))
            received = await get.run(url, TOKEN, folder, speed=speed)
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
        "took_s": time.monotonic() - began,
    }
    print(json.dumps(told | {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_kib": int(peak.split()[1])}))  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
