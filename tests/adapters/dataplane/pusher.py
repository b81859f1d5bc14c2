"""A sender as a process. Usage: pusher.py URL PATH SHA256; prints CPU and peak memory as JSON."""

import json
import resource
import sys
from pathlib import Path

import uvloop

from comity.dataplane import flows, push, serve
from comity.dsp.push import Destination
from comity.net import http
from comity.storage import file, source


async def main(url, path, sha256):
    status = Path(path).stat()
    known = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256}
    content = source.Source(kind="file", address=path, name=Path(path).name, **known)
    client = http.HttpClient(http.Guard(insecure=True))
    sender = push.Push(client.stream, {"file": file.Files([str(Path(path).parent)])}, flows.Flows())
    try:
        sent = await sender.run(serve.Grant("t-1", content), Destination(url))
    finally:
        await client.close()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    told = {"sent": sent, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_kib": int(peak.split()[1])}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
