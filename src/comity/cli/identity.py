"""`comity identity`: our own signing keys, a new one, and one that was stolen.

How a rotation goes, and what partners with pinned keys have to do, is docs/how-to/rotate-keys.md.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import output, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")
SAID = {
    "SIGNING": "signs",
    "WAITING": "published, signs later",
    "PUBLISHED": "published, signs no more",
    "LEFT": "gone, its time was over",
    "RETIRED": "retired",
}

app = typer.Typer(no_args_is_help=True, help="Identity: the keys that prove who you are, and new ones.")

Lead = Annotated[
    str,
    typer.Option(metavar="TIME", help="How long partners have to see the new key before it signs: 330s, 7d."),
]
Grace = Annotated[
    str, typer.Option(metavar="TIME", help="How long the old key stays published after that: 30m, 24h.")
]
Kid = Annotated[str, typer.Argument(metavar="KID", help="The key, such as key-1, as `show` names it.")]


@app.command()
def show(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """Show your identity and every key it has or had."""
    here = Invocation(ctx)
    _show(here, here.connector.identity())


@app.command()
def rotate(
    ctx: typer.Context,
    *,
    lead: Lead = "330s",
    grace: Grace = "24h",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Publish a new key now and sign with it later; nothing that is under way breaks."""
    here = Invocation(ctx)
    found = here.connector.rotate_key(lead_s=_seconds(lead, "--lead"), grace_s=_seconds(grace, "--grace"))
    _show(here, found)
    if not here.as_json:
        output.note(
            "partners who pinned your keys add the new one before it signs:"
            f" comity partner add {output.clean(found.get('@id'))} --pin"
        )


@app.command()
def retire(ctx: typer.Context, *, kid: Kid, _data: Data = None, _json: AsJson = False) -> None:
    """Take a stolen key out at once; partners with a Comity stop believing it within a minute."""
    here = Invocation(ctx)
    here.connector.retire_key(kid)
    _show(here, here.connector.identity())


def _show(here: Invocation, identity: Document) -> None:
    if here.as_json:
        output.document(identity)
        return
    output.line(f"participant  {output.clean(identity.get('@id'))}\n")
    output.table(
        ("Key", "State", "Signs from", "Leaves", "Thumbprint"),
        [_row(each) for each in identity.get("keys") or []],
    )


def _row(key: Document) -> tuple[str, ...]:
    left = key.get("retiredAt") or key.get("leavesAt")
    return (
        str(key.get("kid", "")).rpartition("#")[2],
        SAID.get(str(key.get("state")), str(key.get("state"))),
        words.moment(key.get("signsFrom")) if key.get("signsFrom") else "the beginning",
        words.moment(left) if left else "",
        str(key.get("thumbprint", "")),
    )


def _seconds(text: str, option: str) -> int:
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise errors.InvalidInputError(
            f"{option} {text} is no time", hint="write a number and s, m, h or d: 330s, 30m, 24h, 7d"
        )
    return int(found[1]) * UNITS[found[2] or "s"]
