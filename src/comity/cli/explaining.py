"""`comity policy`: why a partner may have something or not, and who could if it were otherwise.

The connector answers with its own facts: this is for its people, and never for partners.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from comity.cli import framework, ids, output, people, policy, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]

app = typer.Typer(
    no_args_is_help=True,
    help="Policies: why a partner may have something, and who could if it were otherwise.",
)

Dataset = Annotated[
    str, typer.Option("--dataset", metavar="ASSET", help="The asset's id.", show_default=False)
]
At = Annotated[str, typer.Option(metavar="TIME", help="At this time or the end of this day (UTC); else now.")]


@app.command()
def explain(
    ctx: typer.Context,
    *,
    participant: Annotated[
        str,
        typer.Option(
            "--participant", metavar="PARTNER", help="Its name, DID or address.", show_default=False
        ),
    ],
    dataset: Dataset,
    at: At = "",
    purpose: Annotated[str, typer.Option(metavar="WORD", help="For this purpose.")] = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show which rule lets a partner see and have an asset or not, term by term, with which fact."""
    here = Invocation(ctx)
    partner = people.find(here.connector, participant)
    body = {"participant": people.identity(partner), "assetId": dataset, "at": at, "purpose": purpose}
    found = here.connector.request("POST", "policydefinitions/explain", _given(body))
    if here.as_json:
        output.document(found)
        return
    if not found["explanations"]:
        output.line("nobody may have it: no contract definition offers it")
    for each in found["explanations"]:
        output.line(f"{each['about']}: {'yes' if each['allowed'] else 'no'}, {ids.within(each['because'])}")
        for rule in each["rules"]:
            _show_rule(rule)


def _show_rule(rule: Document) -> None:
    output.line(f"  {rule['path'].removeprefix('$.')}  {rule['effect']}")
    for term in rule["terms"]:
        output.line(f"    {term['verdict']:<18}{ids.within(term['term'] + _fact(term))}")


def _fact(term: Document) -> str:
    said = [f"fact: {term['fact']}"] if term.get("fact") else []
    said += [term[name] for name in ("why", "source", "enforced") if term.get(name)]
    return f"  ({'; '.join(said)})" if said else ""


@app.command()
def simulate(
    ctx: typer.Context,
    *,
    dataset: Dataset,
    policy_file: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="If it were offered under this policy.")
    ] = None,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="If it were this time or the end of this day.")
    ] = "",
    said: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="If this were said of the partner; may be repeated."
        ),
    ] = None,
    partner: Annotated[
        str, typer.Option("--partner", metavar="PARTNER", help="Whom --set is about; else everybody.")
    ] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="If this framework agreement or licence had ended; may be repeated."),
    ] = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show for each partner whether it sees and may have an asset: now, and if something were otherwise."""
    here = Invocation(ctx)
    body: Document = {
        "assetId": dataset,
        "policy": policy.read(policy_file) if policy_file else None,
        "at": at,
        "attributes": words.named(said or []),
        "participant": people.identity(people.find(here.connector, partner)) if partner else "",
        "without": [_ended(here, each) for each in without or []],
    }
    found = here.connector.request("POST", "policydefinitions/simulate", _given(body))
    if here.as_json:
        output.document(found)
        return
    output.table(
        ("Partner", "Now", "Then", "Because"),
        [
            (
                each["name"] or each["participant"],
                each["before"]["outcome"],
                ("! " if each["changes"] else "") + each["after"]["outcome"],
                ids.within(each["after"]["because"]),
            )
            for each in found["partners"]
        ],
    )


def _ended(here: Invocation, text: str) -> str:
    """Return the whole URN of a framework agreement that is named by its short form; a licence's number as it is."""
    return framework.find(here, text) if text.startswith(("framework:", "urn:comity:framework:")) else text


def _given(body: Document) -> Document:
    return {name: value for name, value in body.items() if value}
