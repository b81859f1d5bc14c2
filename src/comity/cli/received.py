"""`comity received`: what came, under which terms; opening it under them, copying it out, stating that they are kept.

The connector decides and writes it in the evidence. What lies in its store is read in no other way. Files in a folder
can be read without asking: there it is for those who mean to keep what was agreed, and can show later that they did.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import groups, ids, output, people, places, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client import calls
from comity.client.calls import STORE

Document = dict[str, Any]
COPY_TIMEOUT_S = 24 * 3600.0
READ_TIMEOUT_S = 60.0
PIECE_BYTES = 1024 * 1024

app = typer.Typer(
    cls=groups.Noun,
    invoke_without_command=True,
    subcommand_metavar="[ID | VERB ID]",
    help="What was received: list it, show one by its ID, open it under its terms, or copy it out of the store.",
)

Id = Annotated[
    str, typer.Argument(metavar="ID", help="A transfer's or an agreement's id, or how it begins or ends.")
]
AnyId = Annotated[str, typer.Argument(metavar="ID", help="Of it only this; else all.", show_default=False)]
Purpose = Annotated[str, typer.Option(metavar="WORD", help="What it is opened for.", show_default=False)]
Person = Annotated[
    str, typer.Option(metavar="NAME", help="Who opens it, or states this.", show_default=False)
]
Nationality = Annotated[
    list[str] | None,
    typer.Option(
        "--person-nationality",
        metavar="CODE",
        help="A nationality of that person, as the terms write it; may be repeated.",
    ),
]
File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A file of it in the node's store: its bytes are written out.",
        show_default=False,
    ),
]
Into = Annotated[
    str, typer.Option("--output", "-o", metavar="FOLDER", help="Where the copy goes.", show_default=False)
]
Statement = Annotated[
    str, typer.Option("--statement", metavar="TEXT", help="What is stated.", show_default=False)
]


@app.callback()
def list_(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """What was received: list it, show one by its ID, open it under its terms, or copy it out of the store."""
    if ctx.invoked_subcommand is not None:
        return
    here = Invocation(ctx)
    found: list[Document] = here.connector.request("GET", "received")
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("nothing was received yet; comity get <partner> <asset> gets something")
    else:
        names, us = processes.partner_names(here), here.us
        is_locked = any(each["locked"] for each in found)
        output.table(
            ("ID", "From", "Asset", "Revision", "Where", "Terms", "Locked by")[: 7 if is_locked else 6],
            [
                (
                    ids.short(str(each["@id"])),
                    names.get(str(each["counterPartyId"]), str(each["counterPartyId"])),
                    ids.short(str(each["assetId"])),
                    _revision(each),
                    _where(each),
                    words.terms(each["policy"], us=us, names=names),
                    people.named(names, ids.within("; ".join(each["locked"]))),
                )[: 7 if is_locked else 6]
                for each in found
            ],
        )
        for each in found:
            if each.get("copiesWait"):
                output.line(_waits(each))
        if any(each["destination"] == STORE for each in found):
            _tell_store(here)


def _waits(found: Document) -> str:
    """Return what a person has to do where the store has deleted something and copies of it are left."""
    name = ids.short(str(found["@id"]))
    return (
        f"{name} is deleted from the store, as agreed; copies wait for you, in {_copies(found)}:"
        f" comity delete {name}"
    )


def _copies(found: Document) -> str:
    return ", ".join(each["destination"] or "a program" for each in found.get("exports") or ())


def _tell_store(here: Invocation) -> None:
    """Say how much the node's store holds."""
    store: Document = here.connector.request("GET", "received/store")
    held = f"{words.count(store['files'], 'file')}, {words.size(store['sizeBytes'])}"
    output.line(
        f"store: {held} (each content once) in {store['folder']}, {words.size(store['freeBytes'])} free"
    )


@app.command()
def show(ctx: typer.Context, *, received: Id, _data: Data = None, _json: AsJson = False) -> None:
    """Show one that was received, and how each of its terms is enforced (the word show may be left out)."""
    here = Invocation(ctx)
    found = find(here, received)
    if here.as_json:
        output.document(found)
    else:
        names = processes.partner_names(here)
        locked = people.named(names, ids.within("; ".join(found["locked"])))
        output.pairs([*_rows(here, found, names), ("locked by", locked)])


@app.command("open")
def open_(
    ctx: typer.Context,
    *,
    received: Id,
    file: File = "",
    purpose: Purpose = "",
    person: Person = "",
    person_nationality: Nationality = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Say where it lies, or write out a FILE of it, if its terms allow that now; the evidence has that."""
    here = Invocation(ctx)
    said = {"purpose": purpose, "person": person, "nationality": person_nationality or []}
    if file:
        found = find(here, received)
        _write_out(here, str(found["@id"]), file, said)
        _warn(here, found)
        return
    opened = _post(here, received, "open", said)
    _warn(here, opened)
    if here.as_json:
        output.document(opened)
    else:
        output.line(_place(opened))


@app.command()
def files(ctx: typer.Context, *, received: Id, _data: Data = None, _json: AsJson = False) -> None:
    """List the files of what lies in the node's store: that opens none of them."""
    here = Invocation(ctx)
    found: list[Document] = here.connector.request("GET", f"received/{_segment(find(here, received))}/files")
    if here.as_json:
        output.document(found)
    else:
        output.table(
            ("File", "Size", "SHA-256"),
            [(each["path"], words.size(each["sizeBytes"]), f"{each['sha256'][:16]}...") for each in found],
        )


@app.command()
def export(
    ctx: typer.Context,
    *,
    received: Id,
    into: Into,
    purpose: Purpose = "",
    person: Person = "",
    person_nationality: Nationality = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Copy it out of the node's store, if its terms allow that now: the copy leaves what the node enforces."""
    here = Invocation(ctx)
    said = {"purpose": purpose, "person": person, "nationality": person_nationality or []}
    place = places.absolute(into)
    done = _post(here, received, "export", {"destination": place, **said}, timeout_s=COPY_TIMEOUT_S)
    _warn(here, done)
    if here.as_json:
        output.document(done)
    else:
        output.line(place)
        for each in filter(None, str(done.get("note") or "").split("; ")):
            output.line(each)
        output.line(
            "this copy leaves what the node enforces: its terms are yours to keep, and it is in the evidence"
        )


@app.command()
def check(ctx: typer.Context, *, received: AnyId = "", _data: Data = None, _json: AsJson = False) -> None:
    """Read all of what lies in the node's store again, or of one, and say what is damaged or missing."""
    here = Invocation(ctx)
    listed: list[Document] = here.connector.request("GET", "received")
    kept = [each for each in listed if each["destination"] == STORE and not each.get("deletedAt")]
    chosen = [find(here, received)] if received else kept
    found = [(each, _post_to(here, each, "check", {}, timeout_s=COPY_TIMEOUT_S)) for each in chosen]
    if here.as_json:
        output.document([{"@id": each["@id"], **said} for each, said in found])
    else:
        _tell_checked(found)
    if any(said["damaged"] or said["missing"] for _, said in found):
        raise errors.StorageError(
            "not all of it is what was received", hint="get what is damaged or missing again: comity get"
        )


def _tell_checked(found: list[tuple[Document, Document]]) -> None:
    for each, said in found:
        name = f"{ids.short(str(each['@id']))}  {each['assetId']}"
        for what in ("damaged", "missing"):
            for path in said[what]:
                output.line(f"{what}  {name}  {path}")
    files, size = (sum(said[each] for _, said in found) for each in ("files", "sizeBytes"))
    output.line(f"read {words.count(files, 'file')}, {words.size(size)}, of {len(found)} received")


@app.command()
def attest(
    ctx: typer.Context,
    *,
    received: Id,
    statement: Statement,
    person: Person = "",
    person_nationality: Nationality = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """State that terms are kept which no software sees; it is in the evidence, and the provider is told."""
    here = Invocation(ctx)
    said = {"statement": statement, "person": person, "nationality": person_nationality or []}
    done = _post(here, received, "attest", said)
    if here.as_json:
        output.document(done)
    else:
        output.line(f"stated for agreement {ids.tail(str(done['agreementId']))}, and its provider is told")


def _warn(here: Invocation, found: Document) -> None:
    """Say on stderr what became of a revision that somebody uses."""
    if found.get("became"):
        output.note(people.named(processes.partner_names(here), str(found["became"])))


def _post(here: Invocation, text: str, verb: str, said: Document, **more: float) -> Document:
    return _post_to(here, find(here, text), verb, said, **more)


def _post_to(here: Invocation, found: Document, verb: str, said: Document, **more: float) -> Document:
    done: Document = here.connector.request("POST", f"received/{_segment(found)}/{verb}", said, **more)
    return done


def _write_out(here: Invocation, name: str, file: str, said: Document) -> None:
    """Write the bytes of a file to where the output goes."""
    out = sys.stdout.buffer
    path = calls.file_path("received", name, file, **said)
    with here.connector.stream(path, {}, timeout_s=READ_TIMEOUT_S) as answer:
        while piece := answer.read(PIECE_BYTES):
            out.write(piece)
    out.flush()


def _segment(found: Document) -> str:
    from urllib.parse import quote  # noqa: PLC0415  start-up time

    return quote(str(found["@id"]), safe="")


def find(here: Invocation, text: str) -> Document:
    """Return the one that a person means: by its transfer, or the newest by its agreement."""
    listed: list[Document] = here.connector.request("GET", "received")
    by_name = {str(each["agreementId"]): each for each in reversed(listed)}
    by_name |= {str(each["@id"]): each for each in listed}
    return by_name[ids.find(text, by_name, "received data", hint="comity received shows it")]


def _rows(here: Invocation, found: Document, names: dict[str, str]) -> list[tuple[str, object]]:
    return [
        ("transfer", found["@id"]),
        ("agreement", found["agreementId"]),
        ("from", people.called(names, found["counterPartyId"])),
        ("asset", found["assetId"]),
        ("revision", people.named(names, str(found.get("became") or _revision(found)))),
        ("received", words.moment(found.get("receivedAt"))),
        ("where", _where(found)),
        ("size", words.size(found.get("sizeBytes"))),
        ("sealed by", _sealed(found)),
        ("copies", _copies(found)),
        ("waits", _waits(found) if found.get("copiesWait") else ""),
        ("deleted", words.moment(found.get("deletedAt"))),
        ("terms", words.terms(found["policy"], us=here.us, names=names)),
        *words.enforced(found["policy"]),
    ]


def _revision(found: Document) -> str:
    """Return which revision it is, and what became of it since if it is not the one to use any more."""
    number, state = found.get("revision"), found.get("revisionState")
    return f"{number}, {state}" if number and state != "released" else str(number or "")


def _sealed(found: Document) -> str:
    """Return who sealed a package, with which key and when; empty for what is no package."""
    seal = found.get("seal")
    if not seal:
        return "" if found.get("name") else "not sealed"
    return f"{seal['key']}, {words.moment(seal['sealedAt'])}"


def _where(found: Document) -> str:
    """Return where it lies in a word or two."""
    if found.get("deletedAt"):
        return "deleted"
    if found.get("copiesWait"):
        return "copies only"
    if found["destination"] == STORE:
        return f"store at {found['lies']}" if found.get("lies") else "store"
    return str(found["destination"]) or "elsewhere"


def _place(found: Document) -> str:
    if found["destination"] == STORE:
        name = ids.short(str(found["@id"]))
        return (
            f"encrypted, in the node's store: comity received files {name} lists its files,"
            f" comity received open {name} FILE writes one out"
        )
    folder, name = str(found["destination"]), str(found.get("name") or "")
    return f"{folder}/{name}" if name else folder
