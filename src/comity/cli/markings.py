"""`comity markings`: the release markings that `comity publish --marking` takes, and the terms that each one writes.

The markings are `odrl.marking`'s, and those of packages that are installed beside Comity.
"""

from __future__ import annotations

import typer

from comity.cli import output, policy
from comity.cli.invocation import AsJson, Data, Invocation


def markings(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """Show the release markings: what each means, the options it needs, the terms it writes."""
    from comity.odrl import marking  # noqa: PLC0415  start-up time

    here = Invocation(ctx)
    found = policy.markings()
    if here.as_json:
        output.document(
            [
                {
                    "name": each.name,
                    "means": each.means,
                    "needs": [marking.OPTIONS[name] for name in each.needs],
                    "policy": marking.example(each),
                }
                for each in found
            ]
        )
        return
    output.table(
        ("Marking", "Means", "Needs"),
        [(each.name, each.means, " ".join(marking.OPTIONS[name] for name in each.needs)) for each in found],
    )
    output.note("\n--json shows the terms that each one writes")
