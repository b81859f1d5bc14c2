"""`python -m comity.testing.chaos`: the proxy as a process of its own; see docs/how-to/test-with-chaos.md.

It runs until it is told to stop, and then says how often each fault was done.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import ssl
import sys
from collections.abc import Sequence
from typing import IO

import msgspec

from comity.testing.chaos.exchange import Exchange
from comity.testing.chaos.plan import FAULTS, PROFILES, Profile
from comity.testing.chaos.proxy import Door, Proxy

LAST_PORT = 65535
EPILOGUE = "Faults: " + ", ".join(FAULTS)


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    made = argparse.ArgumentParser(
        prog="python -m comity.testing.chaos",
        description="Stand between connectors and lose, double, delay and spoil their messages.",
        epilog=EPILOGUE,
    )
    made.add_argument(
        "--listen", action="append", required=True, metavar="HOST:PORT", help="a door; repeatable"
    )
    made.add_argument(
        "--to",
        action="append",
        required=True,
        metavar="URL",
        help="the connector behind it; one for each door",
    )
    made.add_argument("--profile", choices=PROFILES, default="mixed", help="the shares of faults (mixed)")
    made.add_argument(
        "--share", action="append", default=[], metavar="FAULT=SHARE", help="another share of a fault, 0 to 1"
    )
    made.add_argument("--seed", type=int, help="repeat the plan of an earlier run")
    made.add_argument("--only", default="", metavar="REGEX", help="paths that have faults (all)")
    made.add_argument("--record", metavar="FILE", help="write each message as a line of JSON")
    made.add_argument("--certificate", metavar="FILE", help="end TLS with this certificate")
    made.add_argument("--key", metavar="FILE", help="its key")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM, then print how often each fault was done."""
    made = parser()
    said = made.parse_args(arguments)
    if len(said.listen) != len(said.to):
        made.error("give one --to for each --listen")
    try:
        profile = changed(PROFILES[said.profile], said.share)
    except ValueError as error:
        made.error(str(error))
    try:
        re.compile(said.only)
    except re.error as error:
        made.error(f"--only {said.only}: {error}")
    with contextlib.ExitStack() as stack:
        try:
            record = stack.enter_context(open(said.record, "ab", opener=_own)) if said.record else None
        except OSError as error:
            made.error(f"--record {said.record}: {error.strerror}")
        try:
            asyncio.run(_run(said, profile, record))
        except _CannotBeginError as error:
            made.error(str(error))
    return 0


class _CannotBeginError(Exception):
    """Something that was said on the command line does not work here."""


def _own(path: str, flags: int) -> int:
    """Open a file that its owner alone may read: tokens are in it."""
    opened = os.open(path, flags, 0o600)
    os.fchmod(opened, 0o600)
    return opened


def changed(profile: Profile, shares: Sequence[str]) -> Profile:
    """Return a profile with other shares, each FAULT=SHARE.

    Raises:
        ValueError: there is no such fault, or a share cannot be.
    """
    values: dict[str, float] = {}
    for each in shares:
        name, _, text = each.partition("=")
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name}; there are {', '.join(FAULTS)}")
        values[name] = float(text)
    return msgspec.structs.replace(profile, **values)


async def _run(said: argparse.Namespace, profile: Profile, record: IO[bytes] | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tls = _tls(said.certificate, said.key) if said.certificate else None
    write = (lambda done: record.write(line(done))) if record else None
    async with Proxy(profile, seed=said.seed, only=said.only, record=write) as proxy:
        for listen, to in zip(said.listen, said.to, strict=True):
            door = await _open(proxy, listen, to, tls)
            _say(f"{door.address} leads to {to}")
        _say(f"profile {said.profile}, {sum(profile.shares().values()):.0%} faults, seed {proxy.seed}")
        await stopped.wait()
        _say(f"{proxy.requests} requests")
        for fault, count in proxy.counts.most_common():
            _say(f"{count:8} {fault}")


async def _open(proxy: Proxy, listen: str, to: str, tls: ssl.SSLContext | None) -> Door:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > LAST_PORT:
        raise _CannotBeginError(f"--listen {listen}: write HOST:PORT, such as 127.0.0.1:9001")
    try:
        return await proxy.open(listen, to=to, tls=tls)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise _CannotBeginError(f"--listen {listen}: {why}") from None


def _tls(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise _CannotBeginError(f"--certificate {certificate}: {error.strerror or error}") from None
    return context


def line(done: Exchange) -> bytes:
    """Return an exchange as a line of JSON; bodies are base64."""
    return msgspec.json.encode(done) + b"\n"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
