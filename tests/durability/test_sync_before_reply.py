"""Before each 2xx that says that something was changed, the disk has it: shown by what the process asked of the system.

Between the last byte of the request and the first byte of the answer the store (its write-ahead log) is written and
then synced, and nothing but what may be lost waits to be synced when the answer is given. Every kind of such an answer
is given once, and that none is missing is read off the connector's own tables of endpoints.
"""

import asyncio
import dataclasses

import pytest

from comity.api import dsp
from comity.api.management import paths
from comity.api.management.endpoints import ENDPOINTS
from comity.management.roles import VIEWER
from support import disk, tracing
from support.everything import ByHand, everything

pytestmark = tracing.missing

UNCHANGED = {
    ("PUT", "dataplanes", ""): "refused",
    ("DELETE", "dataplanes", "{id}"): "refused",
    ("POST", "transferprocesses", "{id}/deprovision"): "there is nothing to free",
    ("POST", "connectordiscovery", "dspversionparams"): "asks another connector",
    ("POST", "connectordiscovery", "connectors"): "asks another connector",
    ("POST", "protocol-versions", "request"): "asks another connector",
    ("POST", "frameworks", "offered"): "asks another connector",
    ("HEAD", "received", "{id}/files/{path}"): "hands out no bytes",
    ("HEAD", "readings", "{id}/files/{path}"): "hands out no bytes",
    ("POST", "received", "{id}/check"): "reads what is there",
}
IN_FILES = {("DELETE", "identity", "{id}"): "keys/keyring.json.new"}
"""Kinds whose state is a file beside the store."""
MAY_BE_LOST = (
    "comity.sqlite-wal",  # the next steps are written to it meanwhile; what was answered is test_power_cuts' part
    "comity.lock",
    "site.log",
    "connector.pem (removed)",  # a key that was retired: removed again a minute later, and at every start
    ".comity-receiving.json (removed)",  # a package that is whole: they say less than its manifest does
    ".comity-incoming.json (removed)",
    ".comity-incoming.sha256 (removed)",
    ".comity-kept.log",  # what is lost of it only means that a file is hashed again
    ".comity-kept.log (removed)",
)


def management_keys():
    return {
        key
        for key, row in ENDPOINTS.items()
        if key[0] != "GET" and row.role != VIEWER and key not in UNCHANGED
    }


def message_keys():
    return {("POST", path) for path in dsp.FIRST} | {
        ("POST", f"/{noun}/{{pid}}{rest}") for noun, rest in dsp.NEXT
    }


def key_of(each):
    """The kind of an answered request, None if its answer says nothing of a change."""
    path = each.path.partition("?")[0]
    if path.startswith("/management/"):
        found = paths.find({"v3": TABLE, "v4": TABLE}, each.method, path.encode())
        return found.key if found.key in management_keys() else None
    if path.startswith("/dsp/2025-1/") and each.method == "POST" and "/catalog/" not in path:
        path = path.removeprefix("/dsp/2025-1")
        noun, _, rest = path.split("/", 3)[1:] if path.count("/") > 2 else (*path.split("/")[1:], "")
        return (each.method, path if path in dsp.FIRST else f"/{noun}/{{pid}}/{rest}")
    if path.startswith("/inbox/"):
        return (each.method, "inbox") if each.method in {"PUT", "PATCH"} else None
    return None


TABLE = paths.methods_of(ENDPOINTS)


@pytest.fixture
async def recorded(tracing_of, peer, tmp_path):
    """Everything done once: the disk as it was before, the calls, the answered requests."""
    site = tracing_of("site", ByHand)
    (tmp_path / "data" / "package").mkdir(parents=True)  # what lies there before is known to be durable
    before = disk.Disk(tmp_path)
    await asyncio.to_thread(site.start)
    await everything(site, peer, tmp_path / "data")
    await asyncio.to_thread(site.stop)
    made = tracing.calls(site.trace)
    ports = [int(each.rpartition(":")[2]) for each in (site.conf.listen, site.conf.management)]
    return before, made, [each for each in tracing.exchanges(made, *ports) if 200 <= each.status < 300]


async def test_every_change_is_synced_between_its_request_and_its_answer(recorded):
    before, made, answered = recorded
    kinds = {id(each): key_of(each) for each in answered}
    changes = [each for each in answered if kinds[id(each)] is not None]
    wanted = management_keys() | message_keys() | {("PUT", "inbox"), ("PATCH", "inbox")}
    assert set(kinds.values()) - {None} == wanted
    waiting = pending_at(before, made, {each.answered_at for each in changes})
    wrong = []
    for each in changes:
        store = IN_FILES.get(kinds[id(each)], "comity.sqlite-wal")
        if not is_synced([call for call in made if call.place.endswith(store)], each):
            wrong.append((each.method, each.path, "answered before the sync"))
        left = [path for path in waiting[each.answered_at] if not path.endswith(MAY_BE_LOST)]
        if left:
            wrong.append((each.method, each.path, left))
    assert not wrong, "\n".join(map(str, wrong))
    assert len(changes) >= len(wanted)


def is_synced(calls, exchange):
    """Whether a file was written and then synced between a request and its answer."""
    inside = [call for call in calls if exchange.asked_at < call.began and call.ended < exchange.answered_at]
    written = [call.ended for call in inside if call.name in {"write", "pwrite64"}]
    return any(call.name in disk.SYNCS and written and call.began > written[0] for call in inside)


def pending_at(before, made, lines):
    """What the disk could lose at each of some lines of the trace."""
    found, waiting = {}, sorted(lines)

    def tell(line):
        while waiting and line >= waiting[0]:
            found[waiting.pop(0)] = before.unsynced()

    disk.play(before, made, tell)
    return found


def test_an_answer_before_the_sync_is_seen():
    def call(name, began, ended):
        return tracing.Call(name, "", 0, began, ended)

    asked = tracing.Exchange("POST", "/x", b"", 10, 200, b"", 20)
    calls = [call("pwrite64", 12, 12), call("fdatasync", 13, 15)]
    assert is_synced(calls, asked)
    assert not is_synced(calls[:1], asked)
    assert not is_synced(list(reversed([call("fdatasync", 11, 11), calls[0]])), asked)
    assert not is_synced([calls[0], call("fdatasync", 13, 21)], asked)
    assert not is_synced(calls, dataclasses.replace(asked, asked_at=14))
