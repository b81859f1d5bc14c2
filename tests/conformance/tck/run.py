"""Runs the official conformance kit of the Dataspace Protocol against a running Comity, both roles (`make tck`).

The connector is the product as it is, on loopback, with the kit's table as its replaceable decisions. The exit status
is 0 if every test of the kit passed, 1 if one did not, 3 if the machine lacks Java, Maven or the kit.

    make tck ARGS="[--twice] [--jitter MS] [--report FILE] [--kit VERSION] [--class-path PATH]"
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.types import ASGIApp

from comity import data_folder, runtime
from comity.controlplane.connector import Connector
from conformance.tck import kit, report, scripts, seed, table, triggers, weather
from support.pair import wait_for
from support.ports import free_port

FAILED, LACKING = 1, 3
_RESULT = re.compile(r"([A-Z]+): ([A-Z_]+:\d\d-\d\d)\s*$")


def main() -> int:
    """Run the kit; return the exit status."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="comity-tck-") as folder:
        try:
            chosen = _kit(options, Path(folder))
        except kit.MissingError as missing:
            print(missing)
            return LACKING
        head = f"kit {chosen.name}{_weather_name(options)}"
        print(f"{head}; {len(table.TESTS)} tests", flush=True)
        began, copies = time.monotonic(), weather.Twice()
        text = asyncio.run(_run(chosen, _weather(options, copies), Path(folder)))
    outcome = report.parse(text)
    if options.report:
        options.report.write_text(f"# {head}\n\n{report.clean(text)}", encoding="utf-8")
    wrong = report.problems(outcome, table.TESTS)
    for each in wrong:
        print(f"  {each}")
    for fate, count in copies.copies.most_common():
        print(f"  second copies {fate}: {count}")
    print(f"{head}, {time.monotonic() - began:.0f} s")
    print(report.closing_line(outcome, table.TESTS))
    return FAILED if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make tck", description="Run the Dataspace Protocol conformance kit."
    )
    parser.add_argument("--twice", action="store_true", help="deliver every message of ours twice")
    parser.add_argument("--jitter", type=int, default=0, metavar="MS", help="hold each back, up to this long")
    parser.add_argument("--report", type=Path, metavar="FILE", help="keep what the kit prints")
    parser.add_argument("--kit", metavar="VERSION", help=f"which kit (default: {kit.RELEASE})")
    parser.add_argument(
        "--class-path", metavar="PATH", help="where its classes are, if Maven is not to be asked"
    )
    return parser.parse_args()


def _kit(options: argparse.Namespace, folder: Path) -> kit.Kit:
    kit.check_machine(maven=not options.class_path)
    if options.class_path:
        return kit.Kit(f"{options.kit or kit.RELEASE} (class path given)", options.class_path, kit.MAIN)
    return kit.bring(options.kit, folder) if options.kit else kit.bring_newest(folder, print)


def _weather_name(options: argparse.Namespace) -> str:
    twice = ", every message of ours delivered twice" if options.twice else ""
    return twice + (f", each held back up to {options.jitter} ms" if options.jitter else "")


def _weather(options: argparse.Namespace, copies: weather.Twice) -> weather.Wrap:
    wraps: list[weather.Wrap] = [copies] if options.twice else []
    if options.jitter:
        wraps.append(weather.late(options.jitter / 1000, random.random))
    return weather.together(wraps)


async def _run(chosen: kit.Kit, wrap_post: weather.Wrap, folder: Path) -> str:
    port, kit_port, triggers_port = free_port(), free_port(), free_port()
    conf = data_folder.initialize(
        folder / "connector",
        address=f"http://127.0.0.1:{port}",
        listen=f"127.0.0.1:{port}",
        management="127.0.0.1:0",
        roots=[str(folder)],
        insecure=True,
        mock_identity=True,
        participant_id="CONNECTOR_UNDER_TEST",
    )
    async with runtime.connector(conf, decisions=scripts.Scripted(), wrap_post=wrap_post) as parts:
        await seed.plant(parts.connector, f"http://127.0.0.1:{kit_port}")
        async with (
            _listening(parts.public, port),
            _listening(triggers.application(parts.connector), triggers_port),
        ):
            places = kit.Places(
                participant_id=conf.participant_id,
                root=conf.address,
                dsp=parts.connector.dsp_address,
                triggers=f"http://127.0.0.1:{triggers_port}",
                port=kit_port,
            )
            return await _play(chosen, places, parts.connector, folder)


async def _play(chosen: kit.Kit, places: kit.Places, connector: Connector, folder: Path) -> str:
    settings = folder / "kit.properties"
    kit.write_properties(kit.properties(places, await seed.offer_ids(connector)), settings)
    return await kit.run(chosen, settings, _tell)


def _tell(line: str) -> None:
    found = _RESULT.search(line)
    if found:
        print(f"  {found[2]:<11} {found[1].lower()}", flush=True)


@contextlib.asynccontextmanager
async def _listening(application: ASGIApp, port: int) -> AsyncIterator[None]:
    """Serve an application as `comity serve` does, on a loopback port."""
    server = runtime._server(application, None)
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    serving = asyncio.create_task(server.serve([bound]))
    try:
        await wait_for(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        await serving
        bound.close()


if __name__ == "__main__":
    sys.exit(main())
