"""Measures what it costs to serve a file of 1 GiB: CPU seconds of the provider, beside nginx with the same file.

Two `comity serve` processes agree and start a transfer; then the file is fetched turn by turn from the provider's data
endpoint and from nginx (if it is installed), plain HTTP on loopback, by the same reader, which throws the bytes away.
The file has random bytes and is in the page cache as far as the servers leave it there.

    python bench/pull.py [--mib 1024] [--rounds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from sides import PROTOCOL, Comity, tree_cpu_s

from comity.client.connector import Connector
from support.ports import free_port

MIB = 1024 * 1024
POLL_S = 0.02
READY_S = 20.0
NGINX = """daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile {sendfile}; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}
"""


def fetch(url: str, authorization: str = "") -> int:
    """Fetch a URL and throw it away; return how many bytes came."""
    parts = urlsplit(url)
    head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
    head += f"Authorization: {authorization}\r\n" if authorization else ""
    buffer, size = bytearray(MIB), 0
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(head.encode() + b"\r\n")
        while got := connection.recv_into(buffer):
            if not size and not buffer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{url} answers {bytes(buffer[:got])!r}")
            size += got
    return size


def transfer(provider: Comity, consumer: Comity, path: Path) -> tuple[str, str]:
    """Agree about a file and start its transfer; return the address of its data and what opens it."""
    provider.add_partner(consumer)
    consumer.add_partner(provider)
    provider.offer(consumer, data={"type": "File", "path": str(path)})
    common = {
        "counterPartyId": provider.participant,
        "counterPartyAddress": provider.dsp,
        "protocol": PROTOCOL,
    }
    api = consumer.api
    asked = {"@type": "ContractRequest", **common, "policy": consumer.find_offer(provider)}
    begun = api.request("POST", "contractnegotiations", asked)
    agreed = _reaches(api, f"contractnegotiations/{begun['@id']}", "FINALIZED")
    wanted = {
        "contractId": agreed["contractAgreementId"],
        "assetId": "asset",
        "transferType": "HttpData-PULL",
    }
    started = api.request("POST", "transferprocesses", {"@type": "TransferRequest", **common, **wanted})
    _reaches(api, f"transferprocesses/{started['@id']}", "STARTED")
    address = api.request("GET", f"edrs/{started['@id']}/dataaddress")
    return address["endpoint"], address["authorization"]


def _reaches(api: Connector, path: str, state: str) -> dict[str, str]:
    deadline = time.monotonic() + READY_S
    while (found := api.request("GET", path))["state"] != state:
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} is {found['state']}, not {state}")
        time.sleep(POLL_S)
    return dict(found)


@contextlib.contextmanager
def nginx(found: str, folder: Path, *, sendfile: str) -> Iterator[tuple[str, Callable[[], float]]]:
    """Serve a folder with nginx; yield its address, and what tells its CPU seconds so far."""
    port = free_port()
    place = folder / f"nginx-{sendfile}.conf"
    place.write_text(NGINX.format(folder=folder, port=port, sendfile=sendfile))
    with (folder / "nginx.log").open("ab") as log:
        process = subprocess.Popen([found, "-c", str(place), "-e", "stderr"], stderr=log, stdout=log)
    try:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"nginx did not start: {(folder / 'nginx.log').read_text()}") from None
                time.sleep(POLL_S)
        yield f"http://127.0.0.1:{port}/", lambda: tree_cpu_s(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def measure(mib: int = 1024, rounds: int = 5) -> dict[str, dict[str, float]]:
    """Return CPU seconds a GiB of each server, and MB/s; medians of some rounds."""
    with tempfile.TemporaryDirectory(prefix="comity-pull-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # nginx may read it as another user
        path = folder / "file.bin"
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))
        provider, consumer = Comity(folder, "provider"), Comity(folder, "consumer")
        for side in (provider, consumer):
            stack.callback(side.stop)
            side.start()
        endpoint, authorization = transfer(provider, consumer, path)
        served: dict[str, tuple[str, str, Callable[[], float]]] = {
            "comity": (endpoint, authorization, lambda: tree_cpu_s(provider.pid))
        }
        if found := shutil.which("nginx"):
            for sendfile in ("on", "off"):
                address, cpu_s = stack.enter_context(nginx(found, folder, sendfile=sendfile))
                served[f"nginx, sendfile {sendfile}"] = (address + path.name, "", cpu_s)
        taken: dict[str, list[tuple[float, float]]] = {each: [] for each in served}
        for at in range(rounds + 1):
            for each, (url, opens, cpu_s) in served.items():
                before, began = cpu_s(), time.perf_counter()
                size = fetch(url, opens)
                took_s = time.perf_counter() - began
                if at:  # the first round fills the page cache
                    taken[each].append(((cpu_s() - before) * 1024 / mib, size / took_s / 1e6))
    return {
        each: {
            "cpu_s_per_gib": statistics.median(cpu for cpu, _ in found),
            "mb_per_s": statistics.median(speed for _, speed in found),
        }
        for each, found in taken.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    print(json.dumps(measure(wanted.mib, wanted.rounds), indent=1))


if __name__ == "__main__":
    main()
