"""`comity evidence`: `verify` reads the database or a bundle, without a connector; `show` asks the connector.

The check needs no connector, so that it can be made on a copy and by somebody else. The chain itself is in
`comity.evidence.entry`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity import errors
from comity.cli import bundle, checkpoints, ids, output, processes, words
from comity.cli.invocation import AsJson, Data, Invocation

if TYPE_CHECKING:
    from comity.evidence.entry import Head

Document = dict[str, Any]
Row = tuple[int, bytes, bytes]
DATABASE, SETTINGS = "comity.sqlite", "comity.toml"
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_SUCCESS = frozenset({"accepted", "acknowledged", "overtaken"})

app = typer.Typer(
    no_args_is_help=True, help="Evidence: every message in and out, chained so that a change shows."
)
checkpoints.add_to(app)
app.command()(bundle.export)

File = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="A database file; else that of the data folder.")
]
Checked = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="A bundle, or a database file; else that of the data folder."),
]
KeptHead = Annotated[
    str,
    typer.Option(
        "--head", metavar="HASH", help="A head noted earlier: it must be in the chain, so nothing was cut."
    ),
]
Signatures = Annotated[
    bool,
    typer.Option(
        "--signatures", metavar="", help="Also check the token of every record with the key of its time."
    ),
]
Last = Annotated[int, typer.Option("--last", min=1, max=1000, metavar="N", help="Show the last N records.")]


@app.command()
def verify(
    ctx: typer.Context,
    *,
    file: Checked = None,
    head: KeptHead = "",
    signatures: Signatures = False,
    key: bundle.Pinned = None,
    authority: bundle.Authority = None,
    signatories: bundle.Roots = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Check every chain, or an exported bundle, and name the first thing that does not hold."""
    here = Invocation(ctx)
    if file is not None and bundle.is_bundle(file):
        if head or signatures:
            raise errors.InvalidInputError(
                "--head and --signatures are about a database, and this is a bundle"
            )
        bundle.verify(here, file, keys=key or (), authority=authority, signatories=signatories)
        return
    if key or authority or signatories:
        raise errors.InvalidInputError("--key, --authority and --signatories are about a bundle")
    _verify_database(here, file, head, signatures=signatures)


def _verify_database(here: Invocation, file: Path | None, head: str, *, signatures: bool) -> None:
    from comity.db import checkpoints as made  # noqa: PLC0415  start-up time
    from comity.db import evidence  # noqa: PLC0415
    from comity.evidence import checkpoint, entry  # noqa: PLC0415

    if head and not _HASH.fullmatch(head):
        raise errors.InvalidInputError(
            f"--head {head} is no head",
            hint="it is the line head of an earlier check: 64 figures and letters a to f",
        )
    place = _database(here, file)
    seen = _Seen(head.lower())
    signed = made.read_notes(place)
    heads = {
        chain: entry.verify(checkpoint.watch(seen.watch(rows), signed.get(chain, {}), chain), chain)
        for chain, rows in evidence.read_chains(place)
    }
    size = sum(each.size for each in heads.values())
    if head and not seen.met:
        raise entry.BrokenChainError(size + 1, f"or later is missing: the head {head} is not in the chain")
    counts = _check_tokens(place) if signatures else None
    if here.as_json:
        output.document(_document(place, size, heads) | ({"signatures": counts} if counts else {}))
        return
    output.line(f"the evidence holds: {words.count(size, 'record')}, each follows from the one before it")
    if counts:
        output.line(_said(counts))
    for chain, found in heads.items():
        output.line(f"head  {found.hash}" + (f"  of chain {chain}" if len(heads) > 1 else ""))
    if not head:
        output.note(
            "keep the head elsewhere: `comity evidence verify --head HASH` then shows that nothing was cut off"
        )


def _document(place: Path | str, size: int, heads: dict[int, Head]) -> Document:
    if isinstance(place, Path) and len(heads) == 1:
        return {"file": str(place), "size": size, "head": heads[0].hash}
    chains = [{"chain": chain, "size": each.size, "head": each.hash} for chain, each in heads.items()]
    return {"size": size, "chains": chains}


def _database(here: Invocation, file: Path | None) -> Path | str:
    """Return the file that is named, or the store of the data folder: a file or the URL of a database."""
    if file is None and (here.folder / SETTINGS).is_file():
        from comity.db import stores  # noqa: PLC0415  start-up time

        stores.check_use(here.folder, here.settings.database_url)
        if here.settings.database_url:
            return here.settings.database_url
    path = file or here.folder / DATABASE
    if not path.is_file():
        raise errors.NotFoundError(
            f"there is no database file {path}", hint="--data names the data folder, or give the file itself"
        )
    return path


def _check_tokens(place: Path | str) -> dict[str, int]:
    from comity.db import evidence, public_keys  # noqa: PLC0415  start-up time
    from comity.evidence import tokens  # noqa: PLC0415

    checked = tokens.Tokens((each.kid, each.jwk) for each in public_keys.read_all(place))
    for seq, record, token in evidence.read_tokens(place):
        checked.check(seq, json.loads(record), token)
    counts = checked.counts
    return {
        "held": counts.held,
        "bound": counts.bound,
        "withoutKey": counts.without_key,
        "withoutToken": counts.without_token,
        "requests": counts.requests,
        "replies": counts.replies,
        "unsignedRequests": counts.unsigned_requests,
        "unsignedReplies": counts.unsigned_replies,
    }


def _said(counts: dict[str, int]) -> str:
    return (
        f"signatures hold on {words.count(counts['held'], 'record')}, on {counts['bound']:,} with the body;"
        f" {counts['withoutToken']:,} have none, the key of {counts['withoutKey']:,} was not kept\n"
        f"{words.count(counts['requests'], 'request')} and {words.count(counts['replies'], 'answer')} are signed and"
        f" hold, {counts['unsignedRequests']:,} and {counts['unsignedReplies']:,} are not signed"
    )


@app.command()
def keys(ctx: typer.Context, *, file: File = None, _data: Data = None, _json: AsJson = False) -> None:
    """Show every public key that signed what is in the evidence, ours and partners', also those that are gone."""
    from comity.db import public_keys  # noqa: PLC0415  start-up time
    from comity.identity import jose  # noqa: PLC0415

    here = Invocation(ctx)
    found = public_keys.read_all(_database(here, file))
    if here.as_json:
        output.document(
            [
                {
                    "participant": each.participant_id,
                    "kid": each.kid,
                    "publicKeyJwk": each.jwk,
                    "seenAt": each.seen_at,
                }
                for each in found
            ]
        )
        return
    output.table(
        ("Key", "Seen first", "Thumbprint"),
        [(each.kid, words.moment(each.seen_at), jose.thumbprint(each.jwk)) for each in found],
    )


class _Seen:
    """Watches the rows go by for a head; rows of another type than bytes were written by someone else."""

    def __init__(self, head: str) -> None:
        self._head = head
        self.met = False

    def watch(self, rows: Iterable[tuple[Any, Any, Any]]) -> Iterator[Row]:
        """Yield the rows as bytes."""
        for seq, record, stored in rows:
            self.met = self.met or _bytes(stored).hex() == self._head
            yield seq, _bytes(record), _bytes(stored)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else repr(value).encode()


@app.command()
def show(ctx: typer.Context, *, last: Last = 20, _data: Data = None, _json: AsJson = False) -> None:
    """Show the last records, each a message in or out."""
    here = Invocation(ctx)
    found = _last(here, last)
    if here.as_json:
        output.document(found)
        return
    if not found.get("entries"):
        output.line("no records yet; each message in or out makes one")
        return
    names = processes.partner_names(here)
    output.table(
        ("Row", "Time", "Way", "Message", "Partner", "Process", "State"),
        [_row(each, names) for each in found.get("entries") or []],
    )


def _last(here: Invocation, last: int) -> Document:
    """Return the newest records; of several chains, by their time."""
    begun = here.connector.evidence(after=0, limit=1)
    head: Document = begun.get("head") or {}
    sizes = {int(each["chain"]): int(each["size"]) for each in begun.get("chains") or [{"chain": 0, **head}]}
    pages = [
        here.connector.evidence(after=max(0, size - last), limit=last, chain=n) for n, size in sizes.items()
    ]
    if len(pages) == 1:
        return pages[0]
    entries = [each for page in pages for each in page.get("entries") or []]
    entries.sort(key=lambda each: (each["record"].get("at", 0), each["chain"], each["seq"]))
    return {"entries": entries[-last:], "chains": begun.get("chains")}


def _row(entry: Document, names: dict[str, str]) -> tuple[str, ...]:
    record = entry.get("record") or {}
    record = json.loads(record) if isinstance(record, str) else record
    way = str(record.get("direction") or "out")
    partner = str(record.get("sender" if way == "in" else "receiver") or "")
    if way == "here":  # what our own people did
        both = (partner, str(record.get("sender") or ""))
        partner = next((each for each in both if each in names), "")
    return (
        f"{entry['chain']}:{entry['seq']}" if entry.get("chain") else str(entry.get("seq")),
        words.moment(record.get("at")),
        way,
        words.message(str(record.get("message", ""))),
        names.get(partner, partner),
        ids.short(str(record.get("processId") or "")),
        _decided(record)
        if way == "here"
        else str(record.get("after") or record.get("before") or _failure(record)),
    )


def _decided(record: Document) -> str:
    """Return what our own people did, and who, by the name of the API key."""
    outcome, who = str(record.get("outcome") or ""), output.clean(record.get("by") or "")
    return f"{outcome} by {who}" if outcome and who else outcome


def _failure(record: Document) -> str:
    """Return how it ended where that is no success: such a message changes no state."""
    outcome = str(record.get("outcome") or "")
    return "" if outcome in _SUCCESS else outcome
