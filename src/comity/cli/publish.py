"""`comity publish`: a folder becomes a technical data package that partners find in the catalog.

The connector reads and hashes the files; names of partners become their DIDs here, options become a policy in
`policy`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import (
    approvals,
    described,
    framework_words,
    hashing,
    ids,
    inquiries,
    meant,
    output,
    people,
    places,
    policy,
    processes,
    words,
)
from comity.cli import framework as frameworks
from comity.cli import received as received_data
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.calls import STORE
from comity.client.connector import AGREEMENTS
from comity.storage import buckets

Folder = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="The folder, or a bucket's address, with all that is below it."),
]
Received = Annotated[
    str,
    typer.Option(
        metavar="ID",
        help="Instead of a folder: what was received into the node's store; its terms follow.",
        show_default=False,
    ),
]
AssetId = Annotated[
    str, typer.Option("--id", metavar="ID", help="Asset id; else the folder's own, the same each time.")
]
Title = Annotated[
    str, typer.Option(help="What partners read; else as before, or the folder's name.", show_default=False)
]
To = Annotated[
    list[str] | None, typer.Option("--to", metavar="PARTNER", help="Only for it; may be repeated.")
]
Until = Annotated[
    str | None, typer.Option(metavar="DATE", help="Not after this day or time.", show_default=False)
]
Purpose = Annotated[
    list[str] | None, typer.Option(metavar="WORD", help="Only for this purpose; may be repeated.")
]
Spatial = Annotated[list[str] | None, typer.Option(metavar="PLACE", help="Only there; may be repeated.")]
Count = Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many transfers.")]
Nationality = Annotated[
    list[str] | None,
    typer.Option(
        "--person-nationality", metavar="CODE", help="Only for persons of this nationality; may be repeated."
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--distribution-class", metavar="WORD", help="Only for partners with this class; may be repeated."
    ),
]
Licence = Annotated[
    str, typer.Option(metavar="NUMBER", help="Only under this licence, which counts.", show_default=False)
]
DeleteAfter = Annotated[
    str,
    typer.Option(
        metavar="DURATION", help="To be deleted so long after it is received: P30D.", show_default=False
    ),
]
CurrentOnly = Annotated[
    bool,
    typer.Option(
        "--current-only",
        metavar="",
        help="Opened only while its revision is neither superseded nor recalled.",
    ),
]
Marking = Annotated[
    list[str] | None,
    typer.Option(
        "--marking", metavar="NAME", help="A release marking, see `comity markings`; may be repeated."
    ),
]
DerivedFrom = Annotated[
    list[str] | None,
    typer.Option(
        metavar="AGREEMENT",
        help="It is made from what was received under this; its terms follow. May be repeated.",
    ),
]
Answers = Annotated[
    list[str] | None,
    typer.Option(metavar="INQUIRY", help="It answers this inquiry; who asked is told. May be repeated."),
]
NewTerms = Annotated[
    bool,
    typer.Option(
        "--new-terms", metavar="", help="Terms that are published and not said again hold no longer."
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="An ODRL policy in JSON, instead of the options above."),
]
Framework = Annotated[
    str,
    typer.Option(
        metavar="URN",
        help="Under this framework agreement: with its release rules, while it is in force.",
        show_default=False,
    ),
]


def publish(
    ctx: typer.Context,
    *,
    folder: Folder = "",
    received: Received = "",
    asset_id: AssetId = "",
    title: Title = "",
    part: meant.Part = None,
    serials: meant.Serials = None,
    plant: meant.Plants = None,
    kind: described.Type = "",
    version: described.Version = "",
    semantic_id: described.SemanticId = "",
    to: To = None,
    until: Until = None,
    purpose: Purpose = None,
    spatial: Spatial = None,
    count: Count = None,
    person_nationality: Nationality = None,
    distribution_class: Classes = None,
    licence: Licence = "",
    delete_after: DeleteAfter = "",
    current_only: CurrentOnly = False,
    marking: Marking = None,
    derived_from: DerivedFrom = None,
    answers: Answers = None,
    framework: Framework = "",
    policy_file: PolicyFile = None,
    new_terms: NewTerms = False,
    approval: approvals.Approval = None,
    four_eyes: approvals.FourEyes = False,
    approve_within: approvals.Within = approvals.WITHIN_H,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Offer a folder to partners: hashed, described by a manifest, sealed, under terms.

    Published again it is the next revision; what is not said again stays as it was. Where a term is said, all that hold
    are to be said, or it is refused: none falls away unseen.
    """
    here = Invocation(ctx)
    options = (
        to, purpose, spatial, person_nationality, distribution_class, licence, delete_after, marking, current_only
    )  # fmt: skip
    if policy_file and (any(options) or until is not None or count is not None):
        raise errors.InvalidInputError(
            "--policy stands alone",
            hint="write what --to, --until, --marking and the others say of terms into the file",
        )
    place = _place(here, folder, received)
    terms = policy.read(policy_file) if policy_file else None
    terms = terms or policy.build(
        recipients=_recipients(here, to or []),
        until=until,
        purposes=purpose or [],
        places=spatial or [],
        count=count,
        nationalities=person_nationality or [],
        classes=distribution_class or [],
        licence=licence,
        delete_after=delete_after,
        current_only=current_only,
        marks=marking or [],
    )
    if new_terms:
        terms = _all_new(terms, framework)
    origins = [processes.find(here, AGREEMENTS, each) for each in derived_from or []]
    rule = approvals.rule(approval, four_eyes=four_eyes, within_h=approve_within)
    meant_for = meant.effectivity(part, serials, plant)
    kept = {"terms": (terms or framework) and not new_terms, "effectivity": meant_for}
    done = hashing.publish(
        here.connector,
        place,
        quiet=here.as_json,
        asset_id=asset_id,
        title=title,
        policy=terms,
        framework=frameworks.find(here, framework) if framework else "",
        derived_from=origins,
        answers=[inquiries.find(here, each) for each in answers or []],
        approval=rule,
        effectivity=meant_for,
        keep=[name for name, is_said in kept.items() if is_said],
        properties=described.properties(kind, version, semantic_id),
    )
    _show(here, done, done.get("policy") or terms, rule)
    if until and policy.is_past(until):
        output.note(f"nobody may see or use it: {until} is past")
    if framework and (why := _not_in_force(here, framework)):
        output.note(f"nobody may see or use it now: the framework agreement is not in force: {why}")
    if licence and not _is_known(here, licence):
        output.note(
            f"nobody may see or use it until you write the licence down: comity licence add {licence}"
        )


def _all_new(terms: dict[str, Any] | None, framework: str) -> dict[str, Any]:
    """Return the terms that are to hold instead of all those before."""
    if terms is None and not framework:
        raise errors.InvalidInputError(
            "--new-terms needs the terms that are to hold",
            hint="say them; for every partner on the list: --marking public",
        )
    return terms or {"@type": "Set", "permission": [{"action": "use"}]}


def _place(here: Invocation, folder: str, received: str) -> str:
    """Return what is to be published as the connector is told it."""
    if bool(folder) == bool(received):
        raise errors.InvalidInputError(
            "name a folder, or what was received with --received ID", path="FOLDER"
        )
    if received:
        return f"{STORE}{received_data.find(here, received)['@id']}"
    if not buckets.is_address(folder):
        _check_folder(Path(folder))
    return places.absolute(folder)


def _not_in_force(here: Invocation, named: str) -> str:
    """Return why a framework agreement is in force with nobody now, empty if it is."""
    said = framework_words.in_force(here.connector.framework(frameworks.find(here, named)))
    return (
        (said.removeprefix("no").removeprefix(": ") or "not signed by both sides") if said[:2] == "no" else ""
    )


def _is_known(here: Invocation, licence: str) -> bool:
    try:
        here.connector.load("licences", licence)
    except errors.NotFoundError:
        return False
    return True


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        is_file = folder.exists()
        raise errors.InvalidInputError(
            f"{folder} is no folder" if is_file else f"there is no folder {folder}",
            hint="comity publish takes a folder of files",
        )


def _recipients(here: Invocation, named: list[str]) -> list[str]:
    if not named:
        return []
    partners = here.connector.partners()
    return [people.identity(people.choose(partners, each)) for each in named]


def _show(here: Invocation, done: dict[str, Any], terms: dict[str, Any] | None, rule: dict[str, Any]) -> None:
    if here.as_json:
        output.document(done)
        return
    skipped = done.get("skipped") or []
    whom = "" if terms and _names_recipients(terms) else "to every partner on the list: "
    output.pairs(
        [
            ("unchanged" if done.get("unchanged") else "published", done.get("title")),
            ("id", done.get("assetId")),
            ("revision", done.get("revision")),
            (
                "files",
                f"{words.count(int(done.get('files') or 0), 'file')}, {words.size(done.get('sizeBytes'))}",
            ),
            ("meant for", meant.words(done) if done.get("effectivity") else ""),
            ("manifest", done.get("manifestSha256")),
            ("sealed by", done.get("sealedBy")),
            ("marking", (terms or {}).get("rdfs:label")),
            ("terms", whom + (words.terms(terms) if terms else "use, no conditions")),
            *words.enforced(terms),
            ("made from", ", ".join(ids.tail(each) for each in done.get("derivedFrom") or [])),
            ("approval", approvals.sentence(rule)),
            ("left out", f"{len(skipped)}: {words.few(skipped)}" if skipped else ""),
        ]
    )
    for each in done.get("warnings") or []:
        output.note(str(each))
    why = _why_nobody(here, str(done.get("assetId"))) if "constraint" in str(terms) else ""
    if why:
        output.note(f"no partner on your list sees it now: {why}")
        output.note(
            "hint: what you know of a partner you write down with: comity partner add ADDRESS --purpose WORD"
        )
    output.line(f"\nyour partners see it with: comity catalog {here.us}")


def _why_nobody(here: Invocation, asset_id: str) -> str:
    """Return why not one partner sees an asset under its terms; empty if one does, or if that cannot be told."""
    try:
        found = here.connector.request("POST", "policydefinitions/simulate", {"assetId": asset_id})[
            "partners"
        ]
    except errors.ComityError:
        return ""
    if any(each["before"]["outcome"] != "sees nothing" for each in found):
        return ""
    said = [(str(each["name"] or each["participant"]), str(each["before"]["because"])) for each in found]
    said.sort(key=lambda each: "recipient" in each[1])  # who is not meant says nothing new
    return ids.within(f"{said[0][0]}: {said[0][1]}") if said else ""


def _names_recipients(terms: dict[str, Any]) -> bool:
    return "recipient" in str(terms.get("permission"))
