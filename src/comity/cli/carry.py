"""`comity carry`: packages on a medium to a partner to whom there is no line, and receipts that come back on it.

The connector writes, checks and decides; here is only what people say and see.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, people, places, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.calls import STORE
from comity.client.connector import AGREEMENTS

Document = dict[str, Any]
GOOD = frozenset({"taken", "known", "others", "none"})
SAID = {
    "taken": "taken",
    "known": "known already",
    "others": "for somebody else",
    "none": "no receipt yet",
    "contradicts": "kept, and it contradicts",
    "refused": "refused",
}

app = typer.Typer(
    no_args_is_help=True,
    help="Where there is no line: packages on a medium to a partner, and receipts that come back on it.",
)

What = Annotated[
    str,
    typer.Argument(metavar="ID", help="An agreement, or how its id begins or ends; or an asset."),
]
Medium = Annotated[str, typer.Argument(metavar="MEDIUM", help="The folder where the medium is mounted.")]
Onto = Annotated[
    str,
    typer.Option("--output", "-o", metavar="MEDIUM", help="Where the medium is mounted.", show_default=False),
]
To = Annotated[
    str,
    typer.Option("--to", metavar="PARTNER", help="Who gets it: name, DID or address.", show_default=False),
]
Revision = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Which revision; else the newest.", show_default=False)
]
Purpose = Annotated[str, typer.Option(metavar="WORD", help="What it is handed over for.", show_default=False)]
Code = Annotated[
    str,
    typer.Option(
        envvar="COMITY_CARRY_CODE",
        metavar="CODE",
        help="Opens what is new here; its sender was shown it.",
        show_default=False,
    ),
]
Into = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FOLDER", help="Else the node's encrypted store.", show_default=False
    ),
]


@app.command()
def write(
    ctx: typer.Context,
    *,
    what: What,
    onto: Onto,
    to: To = "",
    revision: Revision = None,
    purpose: Purpose = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Write a package to a medium, encrypted, if its agreement allows that now; it counts as a use of it."""
    here = Invocation(ctx)
    asked = {"revision": revision, "purpose": purpose, **_what(here, what, to)}
    done = here.connector.carry(places.absolute(onto), **asked)
    if here.as_json:
        output.document(done)
        return
    names = processes.partner_names(here)
    partner = names.get(str(done["counterPartyId"]), str(done["counterPartyId"]))
    size = f"{words.count(int(done['files']), 'file')}, {words.size(done['sizeBytes'])}"
    output.line(f"wrote {done['assetId']} for {partner} to {done['place']}: {size}")
    output.line(f"code   {done['code']}")
    output.note(
        f"tell {partner} this code by another way than the medium: without it nobody opens what is on it"
    )


def _what(here: Invocation, text: str, to: str) -> Document:
    """Return the members that name what a person means: an agreement of ours, or else an asset."""
    partner = str(people.choose(here.connector.partners(), to)["@id"]) if to else ""
    listed = here.connector.find_all(AGREEMENTS)
    ours = [str(each["@id"]) for each in listed if each.get("providerId") == here.us]
    try:
        return {"agreement_id": ids.find(text, ours, "agreement"), "counterparty_id": partner}
    except errors.NotFoundError:
        return {"asset_id": text, "counterparty_id": partner}


@app.command()
def take(
    ctx: typer.Context,
    *,
    medium: Medium,
    into: Into = "",
    code: Code = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Take what is on a medium for us, check all of it, and write the receipts on the medium.

    The same medium again goes on where it stopped, or only writes receipts that it lacks, such as of a deletion.
    """
    here = Invocation(ctx)
    destination = places.absolute(into) if into else STORE
    found = here.connector.take_carried(places.absolute(medium), destination=destination, code=code)
    _tell(here, found)
    if into and found and all(each["state"] == "known" for each in found) and not here.as_json:
        output.note(
            f"all of it was taken before: into {into} it is copied with comity received export ID -o {into}"
        )


@app.command()
def receipts(ctx: typer.Context, *, medium: Medium, _data: Data = None, _json: AsJson = False) -> None:
    """Read the receipts that came back on a medium: each is checked and kept as one that came over a line."""
    here = Invocation(ctx)
    _tell(here, here.connector.carried_receipts(places.absolute(medium)))


def _tell(here: Invocation, found: list[Document]) -> None:
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("there is nothing on it for us")
    else:
        names = processes.partner_names(here)
        for each in found:
            party = names.get(str(each.get("counterPartyId")), str(each.get("counterPartyId") or ""))
            about = each.get("assetId") or each.get("place") or "the medium"
            why = f": {each['why']}" if each.get("why") else ""
            receipt = f" ({_kind(each['receipt'])})" if each.get("receipt") else ""
            output.line(
                f"{SAID.get(str(each['state']), each['state'])}  {about}{f'  {party}' if party else ''}{receipt}{why}"
            )
            if each.get("hint"):
                output.note(str(each["hint"]))
    bad = [each for each in found if each["state"] not in GOOD]
    if bad:
        raise errors.StorageError(
            f"{len(bad)} of {len(found)} could not be taken", hint="the reasons are above"
        )


def _kind(name: str) -> str:
    return "deleted there" if "Deletion" in name else "received there"
