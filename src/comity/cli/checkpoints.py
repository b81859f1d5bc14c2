"""`comity evidence checkpoints|compare|acknowledge`: the signed heads of the evidence, and logs with two faces.

What a finding means, and what to do about it, is docs/explanation/evidence.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, processes, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]
SAID = {
    "SEEN": "it is one that was seen here, too",
    "UNSEEN": "no checkpoint of this log was seen here: there is nothing to compare it with",
    "ASKED": "the partner is asked to prove that it is of the same log; see: comity evidence checkpoints",
    "FORKED": "the log has two faces: see comity evidence checkpoints",
}

Now = Annotated[bool, typer.Option("--now", metavar="", help="First make one of what is new.")]
NoteFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The signed note that somebody else was shown.", exists=True)
]
Name = Annotated[str, typer.Argument(metavar="ID", help="The finding, or the beginning or end of its id.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to those of the evidence."""
    app.command("checkpoints")(show)
    app.command()(compare)
    app.command()(acknowledge)


def show(ctx: typer.Context, *, now: Now = False, _data: Data = None, _json: AsJson = False) -> None:
    """Show the signed heads of your evidence, partners', and what was found out."""
    here = Invocation(ctx)
    found = here.connector.checkpoints(make=now)
    if here.as_json:
        output.document(found)
        return
    names = processes.partner_names(here)
    if found.get("halted"):
        output.line(f"{output.clean(found['halted'])}\n")
    _show_findings(found["findings"], names)
    if not found["checkpoints"]:
        output.line("no checkpoint yet; one is made where there is something new")
        return
    output.table(
        ("Log", "Records", "Made", "Cosigned by", "Stamped"),
        [
            (
                str(each["chain"]),
                f"{each['size']:,}",
                words.moment(each["madeAt"]),
                ", ".join(names.get(party, party) for party in each["cosignedBy"]) or "-",
                words.moment(each["stampedAt"]) if "stampedAt" in each else "-",
            )
            for each in found["checkpoints"]
        ],
    )
    if found["seen"]:
        output.line("")
        output.table(
            ("Partner", "Records", "Seen", "Log"),
            [
                (
                    names.get(each["participantId"], each["participantId"]),
                    f"{each['size']:,}",
                    words.moment(each["seenAt"]),
                    each["origin"].rpartition("/log/")[2],
                )
                for each in found["seen"]
            ],
        )


def _show_findings(findings: list[Document], names: dict[str, str]) -> None:
    open_ones = [each for each in findings if "acknowledgedAt" not in each]
    for each in open_ones:
        partner = names.get(each["participantId"], each["participantId"])
        output.line(
            f"{ids.short(each['id'])}  {each['kind']}  {output.clean(partner)}  {words.moment(each['foundAt'])}:"
            f" {output.clean(each['said'])}"
        )
    if open_ones:
        output.note("both signed notes are in --json; when you have looked: comity evidence acknowledge ID")
        output.line("")


def compare(ctx: typer.Context, *, file: NoteFile, _data: Data = None, _json: AsJson = False) -> None:
    """Compare a partner's signed head that somebody else was shown with yours."""
    here = Invocation(ctx)
    try:
        note = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InvalidInputError(f"{file} cannot be read: {error}") from None
    found = here.connector.compare_checkpoint(note)
    if here.as_json:
        output.document(found)
        return
    output.line(SAID.get(str(found["state"]), str(found["state"])))


def acknowledge(ctx: typer.Context, *, finding: Name, _data: Data = None, _json: AsJson = False) -> None:
    """Note that you have looked at a finding about a log."""
    here = Invocation(ctx)
    known = [each["id"] for each in here.connector.checkpoints()["findings"]]
    name = ids.find(finding, known, "finding", hint="see: comity evidence checkpoints")
    here.connector.acknowledge_finding(name)
    if here.as_json:
        output.document({"@id": name})
        return
    output.line("acknowledged: what the partner showed last is where its log goes on from")
