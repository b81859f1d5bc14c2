"""`comity received`: what came, under which terms; opening it under them, and stating that they are kept.

The connector decides and writes it in the evidence. Files on a disk can be read without asking: this is for those who
mean to keep what was agreed, and can show later that they did.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity.cli import groups, ids, output, people, processes, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]

app = typer.Typer(
    cls=groups.Noun,
    invoke_without_command=True,
    subcommand_metavar="[ID | VERB ID]",
    help="What was received: list it, show one by its ID, open it under its terms.",
)

Id = Annotated[
    str, typer.Argument(metavar="ID", help="A transfer's or an agreement's id, or how it begins or ends.")
]
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
Statement = Annotated[
    str, typer.Option("--statement", metavar="TEXT", help="What is stated.", show_default=False)
]


@app.callback()
def list_(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """What was received: list it, show one by its ID, open it under its terms."""
    if ctx.invoked_subcommand is not None:
        return
    here = Invocation(ctx)
    found: list[Document] = here.connector.request("GET", "received")
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("nothing was received yet; comity get <partner> <asset> -o <folder> gets something")
    else:
        names, us = processes.partner_names(here), here.settings.participant_id
        output.table(
            ("ID", "From", "Asset", "Terms", "Locked by"),
            [
                (
                    ids.short(str(each["@id"])),
                    names.get(str(each["counterPartyId"]), str(each["counterPartyId"])),
                    ids.short(str(each["assetId"])),
                    words.terms(each["policy"], us=us, names=names),
                    people.named(names, ids.within("; ".join(each["locked"]))),
                )
                for each in found
            ],
        )


@app.command()
def show(ctx: typer.Context, *, received: Id, _data: Data = None, _json: AsJson = False) -> None:
    """Show one that was received, and how each of its terms is enforced (the word show may be left out)."""
    here = Invocation(ctx)
    found = _find(here, received)
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
    purpose: Purpose = "",
    person: Person = "",
    person_nationality: Nationality = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Say where it lies, if its terms allow that now; it is in the evidence, and so is a refusal."""
    here = Invocation(ctx)
    said = {"purpose": purpose, "person": person, "nationality": person_nationality or []}
    opened = _post(here, received, "open", said)
    if here.as_json:
        output.document(opened)
    else:
        output.line(_place(opened))


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


def _post(here: Invocation, text: str, verb: str, said: Document) -> Document:
    found = _find(here, text)
    done: Document = here.connector.request("POST", f"received/{_segment(found)}/{verb}", said)
    return done


def _segment(found: Document) -> str:
    from urllib.parse import quote  # noqa: PLC0415  start-up time

    return quote(str(found["@id"]), safe="")


def _find(here: Invocation, text: str) -> Document:
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
        ("received", words.moment(found.get("receivedAt"))),
        ("deleted", words.moment(found.get("deletedAt"))),
        ("terms", words.terms(found["policy"], us=here.settings.participant_id, names=names)),
        *words.enforced(found["policy"]),
    ]


def _place(found: Document) -> str:
    folder, name = str(found["destination"]), str(found.get("name") or "")
    return f"{folder}/{name}" if name else folder
