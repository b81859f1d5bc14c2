"""`comity revisions`: the history of packages, ours and partners', what changed by file, which revision applies.

Of a partner's asset it shows what the partner told and what was received; the connector answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from comity import errors
from comity.cli import groups, ids, inquiries, meant, output, people, processes, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]

app = typer.Typer(
    cls=groups.Noun,
    no_args_is_help=True,
    help="Revisions of packages: history, what changed by file, which one applies, recall.",
)

Asset = Annotated[str, typer.Argument(metavar="ASSET", help="Asset id or title, or how one of these begins.")]
AnyAsset = Annotated[
    str | None,
    typer.Argument(
        metavar="ASSET", help="All revisions of this asset; else the newest of each.", show_default=False
    ),
]
Number = Annotated[int, typer.Argument(min=1, metavar="NUMBER", help="The number of a revision.")]
AnyNumber = Annotated[
    int,
    typer.Argument(
        min=0, metavar="NUMBER", help="The number of a revision; else the newest.", show_default=False
    ),
]
From = Annotated[
    str,
    typer.Option(
        "--from", metavar="PARTNER", help="A partner's asset, where more than one has it.", show_default=False
    ),
]
Since = Annotated[
    int,
    typer.Option(min=0, metavar="M", help="Compared with this one; else the one before.", show_default=False),
]
Part = Annotated[str, typer.Option(metavar="NUMBER", help="Its part number.", show_default=False)]
Serial = Annotated[
    str,
    typer.Option(metavar="NUMBER", help="Its serial number: SN-9 comes before SN-10.", show_default=False),
]
Lot = Annotated[str, typer.Option(metavar="NUMBER", help="Its lot, for deviations.", show_default=False)]
Plant = Annotated[str, typer.Option(metavar="PLANT", help="Where it is.", show_default=False)]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why: who holds it is told.", show_default=False)]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    asset: AnyAsset = None,
    partner: From = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show the newest revision of each asset, or all of one."""
    here = Invocation(ctx)
    named, party = _find(here, asset, partner) if asset else ("", _party(here, partner))
    found = here.connector.revisions(named, of=party)
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("no revisions yet; publish a folder with: comity publish <folder>")
    else:
        _table(here, found, of_one=bool(asset))


def _table(here: Invocation, found: Sequence[Document], *, of_one: bool) -> None:
    """Show revisions; those of one asset without its name and owner, which are the same in each row."""
    names = processes.partner_names(here)
    columns = ("Asset", "From", "Revision", "State", "Changed", "Meant for", "Published")
    rows = [
        (
            output.clean(each.get("title") or ids.short(str(each["assetId"]))),
            _whose(names, each),
            str(each["revision"]),
            str(each["state"]),
            _signs(each.get("changes")),
            meant.words(each),
            words.moment(each.get("publishedAt"))[:10],
        )
        for each in found
    ]
    if of_one:
        output.line(f"{rows[0][0]} ({found[0]['assetId']}), from {rows[0][1]}")
    shown = 2 if of_one else 0
    output.table(columns[shown:], [each[shown:] for each in rows])


@app.command()
def show(
    ctx: typer.Context,
    *,
    asset: Asset,
    number: AnyNumber = 0,
    partner: From = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show a revision: its state, for what it is meant, its manifest; of ours also who holds it and was told."""
    here = Invocation(ctx)
    asset_id, party = _find(here, asset, partner)
    listed = here.connector.revisions(asset_id, of=party)
    found = next((each for each in listed if number in {0, each["revision"]}), None)
    if found is None:
        raise errors.NotFoundError(f"there is no revision {number} of {ids.tail(asset_id)}")
    if not party:  # which of its files are lost is looked up for one only
        [found] = here.connector.revisions(asset_id, number=int(found["revision"]))
    if here.as_json:
        manifest = {} if party else {"manifest": _manifest(here, asset_id, int(found["revision"]))}
        output.document(found | manifest)
        return
    named = any(found.get(each) for each in ("heldBy", "notices", "parents"))
    names = processes.partner_names(here) if named else {}
    output.pairs(
        [
            ("asset", found.get("title")),
            ("id", asset_id),
            ("revision", found["revision"]),
            ("state", found["state"]),
            ("reason", found.get("reason")),
            ("not to be had whole", words.few(found.get("lost") or ())),
            *(("made from", people.named(names, each)) for each in found.get("parents") or ()),
            ("meant for", meant.words(found)),
            ("changed", _counts(found.get("changes"))),
            ("manifest", found["manifestSha256"]),
            ("published", words.moment(found.get("publishedAt"))),
            ("by", found.get("by")),
            ("held by", ", ".join(names.get(each, each) for each in found.get("heldBy") or ())),
            *((_DELIVERED[each["delivery"]], _told(names, each)) for each in found.get("notices") or ()),
            ("received in", found.get("receivedIn") or ("not here" if party else "")),
        ]
    )


_DELIVERED = {"taken": "told", "sent": "to be told", "refused": "not told"}


def _told(names: dict[str, str], notice: Document) -> str:
    """Return who is told what of a revision, since when it stands so, and why it has not arrived."""
    who = names.get(notice["counterPartyId"], notice["counterPartyId"])
    why = f": {notice['error']}" if notice.get("error") else ""
    return f"{who}, {notice['event']}, {words.moment(notice['at'])}{why}"


@app.command()
def changes(
    ctx: typer.Context,
    *,
    asset: Asset,
    number: AnyNumber = 0,
    since: Since = 0,
    partner: From = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show by file what changed in a revision: + added, - removed, * changed, > renamed."""
    here = Invocation(ctx)
    asset_id, party = _find(here, asset, partner)
    found = here.connector.changes(asset_id, of=party, revision=number, since=since)
    if here.as_json:
        output.document(found)
        return
    against = f"revision {found['since']}" if found.get("since") else "nothing"
    output.line(
        f"revision {found['revision']} against {against}: {_counts(found.get('counts')) or 'no file'}"
    )
    for sign, kind in (("+", "added"), ("-", "removed"), ("*", "changed")):
        for path in found.get(kind) or []:
            output.line(f"{sign} {output.clean(path)}")
    for each in found.get("renamed") or []:
        output.line(f"> {output.clean(each['before'])} is {output.clean(each['path'])} now")
    if not found.get("complete"):
        output.note(
            "not all files are named here: the partner tells a part of many, and none without an agreement"
        )


@app.command()
def applies(
    ctx: typer.Context,
    *,
    asset: Asset,
    serial: Serial = "",
    plant: Plant = "",
    part: Part = "",
    lot: Lot = "",
    partner: From = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Tell which revision applies to a serial number at a plant: one, or none and why."""
    here = Invocation(ctx)
    asset_id, party = _find(here, asset, partner)
    found = here.connector.applies(asset_id, of=party, part=part, serial=serial, lot=lot, plant=plant)
    if here.as_json:
        output.document(found)
        return
    number = found.get("revision")
    output.line(f"revision {number}: {found['why']}" if number else f"none: {found['why']}")
    names = processes.partner_names(here) if found.get("deviations") and not party else {}
    for each in found.get("deviations") or []:
        asker = str(each.get("counterPartyId") or "")
        whose = f" for {names.get(asker, asker)}" if asker else ""
        output.line(f"deviation {ids.tail(str(each['inquiryId']))}{whose}: {output.clean(each.get('text'))}")
        if within := inquiries.limits_and_conditions(each.get("limits")):
            output.line(f"  {output.clean(within)}")


@app.command()
def recall(
    ctx: typer.Context,
    *,
    asset: Asset,
    number: Number,
    reason: Reason,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Recall a revision of ours, for good: nobody is given it any more, and its holders are to be told."""
    here = Invocation(ctx)
    asset_id, _ = _find(here, asset, "", ours=True)
    here.connector.recall(asset_id, number, reason)
    if here.as_json:
        output.document({"assetId": asset_id, "revision": number, "state": "recalled"})
    else:
        output.line(f"recalled revision {number}; who holds an agreement about it is to be told")
        output.note(f"see who was: comity revisions show {ids.tail(asset_id)} {number}")


def _whose(names: dict[str, str], found: Document) -> str:
    party = str(found.get("counterPartyId") or "")
    return names.get(party, party) or "us"


def _party(here: Invocation, partner: str) -> str:
    return people.identity(people.find(here.connector, partner)) if partner else ""


def _find(here: Invocation, asset: str, partner: str, *, ours: bool = False) -> tuple[str, str]:
    """Return the whole id of an asset that a person names, and whose it is (empty: ours).

    Without a partner it may be anybody's, as long as it can only be one's; what is ours goes first.
    """
    party = _party(here, partner)
    known = [(str(each["assetId"]), str(each.get("counterPartyId") or ""), str(each.get("title") or ""))
             for each in here.connector.revisions(of=party)]  # fmt: skip
    theirs = [each for each in known if each[1] == party or not (partner or ours)]
    named = {each[0] for each in theirs}
    titled = {name for name, _, title in theirs if title.startswith(asset)}
    if asset not in named and len(titled) == 1:
        found = titled.pop()
    else:
        hint = "see them with: comity revisions list"
        if partner:
            hint = f"{partner} tells who has an agreement: {here.command('get', partner, asset)} makes one"
        found = ids.find(asset, named, "asset with revisions", hint=hint)
    owners = {owner for name, owner, _ in theirs if name == found}
    if len(owners) > 1 and "" not in owners:
        raise errors.InvalidInputError(
            f"several partners have {ids.tail(found)}", hint="say whose is meant with --from PARTNER"
        )
    return found, "" if "" in owners else owners.pop()


def _manifest(here: Invocation, asset_id: str, number: int) -> Document:
    path = f"revisions/{quote(asset_id, safe='')}/manifest?revision={number}"
    found: Document = here.connector.request("GET", path)
    return found


def _signs(counts: Document | None) -> str:
    """Return counts by the signs that `changes` has: `+1 -2 *3 >1`."""
    kinds = {"+": "added", "-": "removed", "*": "changed", ">": "renamed"}
    found = [f"{sign}{counts[kind]}" for sign, kind in kinds.items() if counts.get(kind)] if counts else []
    return " ".join(found) or ("no file" if counts else "")


def _counts(counts: Document | None) -> str:
    kinds = ("added", "removed", "changed", "renamed")
    return ", ".join(f"{counts[kind]} {kind}" for kind in kinds if (counts or {}).get(kind)) if counts else ""
