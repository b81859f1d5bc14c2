"""`comity partner`: the list of those who may ask for something, and of whom we may.

The thumbprints of keys are shown (RFC 7638), so that two people can compare them by telephone.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import approvals, output, people, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]

app = typer.Typer(no_args_is_help=True, help="Partners: who may ask you for something, and whom you may ask.")

Participant = Annotated[str, typer.Argument(metavar="DID-OR-URL", help="Its did:web name or public address.")]
Named = Annotated[
    str, typer.Argument(metavar="PARTNER", help="Its name, DID or address, or how one of these begins.")
]
Name = Annotated[str | None, typer.Option(help="What you call it.", show_default=False)]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Its DSP base address, or the root above it, if its DID document names none.",
        show_default=False,
    ),
]
Purpose = Annotated[
    list[str] | None, typer.Option(metavar="WORD", help="A purpose you hold it to have; may be repeated.")
]
Spatial = Annotated[
    list[str] | None, typer.Option(metavar="PLACE", help="Where it is, such as DE; may be repeated.")
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--distribution-class",
        metavar="WORD",
        help="A class of data that it may have, such as partners-only; may be repeated.",
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        metavar="NAME=VALUE",
        help="What else a policy asks for, such as Membership=active; may be repeated.",
    ),
]
Pin = Annotated[
    bool | None,
    typer.Option(
        "--pin/--no-pin",
        metavar="",
        help="Accept only the keys it has now, whatever its DID document says.",
        show_default=False,
    ),
]

Signed = Annotated[
    bool | None,
    typer.Option(
        "--signed/--no-signed",
        metavar="",
        help="Take nothing of it that has no signature of its own.",
        show_default=False,
    ),
]


@app.command()
def add(
    ctx: typer.Context,
    *,
    participant: Participant,
    name: Name = None,
    address: Address = None,
    purpose: Purpose = None,
    spatial: Spatial = None,
    distribution_class: Classes = None,
    attribute: Attributes = None,
    pin: Pin = None,
    signed: Signed = None,
    approval: approvals.Approval = None,
    four_eyes: approvals.FourEyes = False,
    approve_within: approvals.Within = approvals.WITHIN_H,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Put a partner on the list, or change what is said of it: what is not said stays, an empty value takes it back."""
    here = Invocation(ctx)
    if not address and not participant.startswith(("did:", "http://", "https://")):
        raise errors.InvalidInputError(
            f"{participant} is neither a DID nor an address",
            hint="give did:web:connector.example or https://connector.example; another id needs --address",
        )
    reply = here.connector.add_partner(
        participant,
        name=name,
        address=address,
        purpose=_listed(purpose),
        spatial=_listed(spatial),
        distribution_class=_listed(distribution_class),
        attributes=words.named(attribute) if attribute else None,
        pin=pin,
        signed=signed,
        approval=_approval(approval, four_eyes=four_eyes, within_h=approve_within),
    )
    added = next(
        each
        for each in [*here.connector.partners(), reply]
        if people.identity(each) == people.identity(reply)
    )
    if here.as_json:
        output.document(added)
        return
    output.pairs([("added", added.get("name")), *_rows(added)])
    output.line(
        f"\nnext: {here.command('catalog', output.clean(added.get('name') or people.identity(added)))}"
    )


def _listed(said: list[str] | None) -> list[str] | None:
    """Return what is said, None where nothing is; an empty text says that there is nothing."""
    return [each for each in said if each] if said else None


def _approval(approvers: list[str] | None, *, four_eyes: bool, within_h: int) -> Document | None:
    rule = approvals.rule(_listed(approvers), four_eyes=four_eyes, within_h=within_h)
    return rule if approvers else None


@app.command("list")
def list_(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """Show the partners on the list."""
    here = Invocation(ctx)
    partners = here.connector.partners()
    if here.as_json:
        output.document(partners)
    elif not partners:
        output.line("no partners yet; put one on the list with: comity partner add <did or url>")
    else:
        output.table(
            ("Name", "Participant", "Keys"),
            [
                (
                    str(each.get("name") or ""),
                    people.identity(each),
                    _keys(each),
                )
                for each in partners
            ],
        )


@app.command()
def show(ctx: typer.Context, *, partner: Named, _data: Data = None, _json: AsJson = False) -> None:
    """Show what is known of a partner."""
    here = Invocation(ctx)
    found = people.find(here.connector, partner)
    if here.as_json:
        output.document(found)
    else:
        output.pairs([("name", found.get("name")), *_rows(found)])


@app.command()
def remove(ctx: typer.Context, *, partner: Named, _data: Data = None, _json: AsJson = False) -> None:
    """Take a partner off the list: it can ask for nothing from then on."""
    here = Invocation(ctx)
    found = people.find(here.connector, partner)
    here.connector.remove_partner(people.identity(found))
    if here.as_json:
        output.document({"@id": people.identity(found), "removed": True})
    else:
        output.line(f"removed {output.clean(found.get('name'))} ({output.clean(people.identity(found))})")


def _rows(partner: Document) -> list[tuple[str, object]]:
    return [
        ("participant", people.identity(partner)),
        ("address", partner.get("address")),
        ("purpose", ", ".join(_said(partner, "purpose"))),
        ("spatial", ", ".join(_said(partner, "spatial"))),
        ("may have", ", ".join(_said(partner, "distributionClass"))),
        *((name, ", ".join(map(str, said))) for name, said in (partner.get("attributes") or {}).items()),
        ("approval", approvals.sentence(partner.get("approval") or {})),
        ("keys", _keys(partner)),
        *([("signatures", "nothing counts without one")] if partner.get("signed") else []),
        *(("public key", f"{each} (thumbprint)") for each in _thumbprints(partner)),
    ]


def _said(partner: Document, name: str) -> list[str]:
    said = partner.get(name) or (partner.get("attributes") or {}).get(name) or []
    return [str(each) for each in said]


def _keys(partner: Document) -> str:
    number = len(partner.get("keys") or [])
    return (
        f"{words.count(number, 'key')} pinned"
        if partner.get("pinned")
        else "of its DID"
        if number
        else "none"
    )


def _thumbprints(partner: Document) -> list[str]:
    from comity.identity import jose  # noqa: PLC0415  start-up time

    found = []
    for jwk in partner.get("keys") or []:
        with contextlib.suppress(errors.IdentityError):  # a key of a kind we do not use
            found.append(jose.thumbprint(jwk))
    return found
