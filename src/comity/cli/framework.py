"""`comity framework`: what partners sign first, and everything that is exchanged under it stands or falls with.

A list, or one by its URN or how that begins. What is signed is the hash in the URN: it is computed here again from the
document that is shown.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import framework_words as said
from comity.cli import groups, ids, output, people, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import NEGOTIATIONS
from comity.client.watch import UnfinishedError

Document = dict[str, Any]
HASHING_TIMEOUT_S = 3600.0
WAIT_S = 60.0
_ENDED = "TERMINATED"

app = typer.Typer(
    cls=groups.Noun,
    invoke_without_command=True,
    subcommand_metavar="[ID | VERB ID]",
    help="Framework agreements: list them, show one by its ID, draft, propose or sign one.",
)

Urn = Annotated[str, typer.Argument(metavar="ID", help="Its URN, or how that or its hash begins.")]
Whole = Annotated[
    str, typer.Argument(metavar="URN", help="Its whole URN with the hash: that is what you sign.")
]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the document and its texts.")]
With = Annotated[
    list[str] | None, typer.Option("--with", metavar="PARTNER", help="Another party; may be repeated.")
]
Proposer = Annotated[str, typer.Option("--with", metavar="PARTNER", help="The partner that proposed it.")]
Reader = Annotated[
    str, typer.Option("--with", metavar="PARTNER", help="Show what this partner offers you to sign.")
]
Title = Annotated[str, typer.Option(metavar="TEXT", help="What it is called.")]
From = Annotated[str, typer.Option("--from", metavar="DATE", help="Its first day; else today.")]
Until = Annotated[str, typer.Option(metavar="DATE", help="Its last day.")]
Language = Annotated[
    list[str] | None, typer.Option(metavar="TAG", help="A language of its text, else en; may be repeated.")
]
Purpose = Annotated[list[str] | None, typer.Option(metavar="WORD", help="What for; may be repeated.")]
Programme = Annotated[list[str] | None, typer.Option(metavar="NAME", help="A programme; may be repeated.")]
Territory = Annotated[
    list[str] | None, typer.Option(metavar="PLACE", help="Where it counts, such as DE; may be repeated.")
]
OpenTo = Annotated[
    list[str] | None,
    typer.Option(metavar="PARTNER", help="Who may accede later, * for any partner; may be repeated."),
]
Parent = Annotated[str, typer.Option(metavar="URN", help="The framework agreement above it.")]
Replaces = Annotated[str, typer.Option(metavar="URN", help="Amend this one: begin with what it says.")]
SignatureFile = Annotated[
    Path | None,
    typer.Option("--signature", metavar="FILE", help="A signatory's own signature: CMS, or a signed PDF."),
]
Texts = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="The texts as you read them: refuse to sign others."),
]
Timeout = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Stop watching after so long.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why: every party is told.")]
Raw = Annotated[
    bool, typer.Option("--document", metavar="", help="Only the document, as the bytes that are signed.")
]
Commitment = Annotated[str, typer.Option(metavar="ID", help="Which commitment of yours.")]
Quantity = Annotated[str, typer.Option(metavar="N", help="How much, in its unit.")]
Evidence = Annotated[str, typer.Option(metavar="TEXT", help="What shows it, such as a delivery note.")]
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id, or how it begins or ends.")]


@app.callback()
def list_(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """Framework agreements: list them, show one by its ID, draft, propose or sign one."""
    if ctx.invoked_subcommand is not None:
        return
    here = Invocation(ctx)
    found = here.connector.frameworks()
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("no framework agreements yet; comity framework draft <folder> begins one")
    else:
        said.table([said.named(each, people.names(here.connector.partners())) for each in found])


@app.command()
def draft(
    ctx: typer.Context,
    *,
    folder: Folder,
    title: Title = "",
    with_: With = None,
    from_: From = "",
    until: Until = "",
    purpose: Purpose = None,
    programme: Programme = None,
    territory: Territory = None,
    language: Language = None,
    open_to: OpenTo = None,
    parent: Parent = "",
    replaces: Replaces = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Write a folder with a document and its texts, to be filled in and then proposed."""
    from comity.cli import framework_draft as drafts  # noqa: PLC0415  start-up time

    here = Invocation(ctx)
    if replaces:
        found = here.connector.framework(find(here, replaces))
        document = drafts.amendment(found["document"], str(found["@id"]))
    else:
        if not (title and with_ and until):
            raise errors.InvalidInputError(
                "a draft needs --title, --with and --until", hint="or --replaces, to amend one"
            )
        partners = here.connector.partners()
        others = [people.choose(partners, each) for each in with_]
        document = drafts.template(
            drafts.Said(
                title=title,
                parties=[
                    (here.us, here.settings.name),
                    *((people.identity(each), str(each.get("name") or "")) for each in others),
                ],
                begin=from_ or datetime.now(UTC).strftime("%Y-%m-%d"),
                until=until,
                languages=language or ["en"],
                purposes=purpose or [],
                programmes=programme or [],
                territory=territory or [],
                open_to=[
                    each if each == "*" else people.identity(people.choose(partners, each))
                    for each in open_to or []
                ],
                parent=find(here, parent) if parent else "",
            ),
            _new_uuid(),
        )
    drafts.write(folder, document)
    if here.as_json:
        output.document(document)
        return
    files = ", ".join(each["file"] for each in document["languageVersions"])
    output.pairs([("document", str(folder / "framework.json")), ("texts", files)])
    output.line(
        f"\nfill in both, then offer it to its parties: {here.command('framework', 'propose', str(folder))}"
    )


def _new_uuid() -> str:
    import uuid  # noqa: PLC0415  only here

    return str(uuid.uuid4())


@app.command()
def propose(
    ctx: typer.Context,
    *,
    folder: Folder,
    signature: SignatureFile = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Offer a framework agreement to its parties; you have signed it with that."""
    from comity.cli import framework_draft as drafts  # noqa: PLC0415  start-up time

    here = Invocation(ctx)
    document = drafts.read(folder)
    absolute = os.path.abspath(folder)  # noqa: PTH100  keeps symlinks, takes out `..`
    made = here.connector.propose_framework(document, absolute, timeout_s=HASHING_TIMEOUT_S)
    if signature:
        _attach(here, str(made["@id"]), signature)
    _show(here, made)
    if not here.as_json:
        us = here.us
        output.line(f"\nits parties sign it with: comity framework sign {made['@id']} --with {us}")


@app.command()
def sign(
    ctx: typer.Context,
    *,
    urn: Whole,
    with_: Proposer,
    texts: Texts = None,
    signature: SignatureFile = None,
    timeout: Timeout = WAIT_S,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Sign a framework agreement that a partner proposed, and that names you as a party."""
    _join(Invocation(ctx), urn, with_, texts=texts, signature=signature, timeout_s=timeout, accede=False)


@app.command()
def accede(
    ctx: typer.Context,
    *,
    urn: Whole,
    with_: Proposer,
    texts: Texts = None,
    signature: SignatureFile = None,
    timeout: Timeout = WAIT_S,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Join a framework agreement that is open to you, by signing the same hash."""
    _join(Invocation(ctx), urn, with_, texts=texts, signature=signature, timeout_s=timeout, accede=True)


def _join(
    here: Invocation,
    urn: str,
    named: str,
    *,
    texts: Path | None,
    signature: Path | None,
    timeout_s: float,
    accede: bool,
) -> None:
    from comity.framework import document as documents  # noqa: PLC0415  start-up time

    partner = people.identity(people.find(here.connector, named))
    if not documents.is_urn(urn):
        raise errors.InvalidInputError(
            "what you sign is named by its whole URN, with the hash",
            hint=f"read it, and copy the URN from: {here.command('framework', 'show', urn, '--with', named)}",
        )
    offered = _offered(here, partner, urn)
    if texts is not None:
        from comity.cli import framework_draft as drafts  # noqa: PLC0415  start-up time

        drafts.check_texts(offered["document"], texts)
    if not here.as_json:
        said.document(offered["document"], urn, us=here.us)
    begun = here.connector.sign_framework(partner, urn, accede=accede)
    again = here.command("framework", "show", urn)
    found = _wait(here, urn, str(begun["@id"]), timeout_s, again)
    if signature:
        _attach(here, urn, signature)
        found = here.connector.framework(urn)
    if here.as_json:
        output.document(found)
    else:
        output.line()
        said.standing(said.named(found, people.names(here.connector.partners())))


def _offered(here: Invocation, partner: str, urn: str) -> Document:
    from comity.framework import document as documents  # noqa: PLC0415  start-up time

    offered = here.connector.offered_framework(partner, urn)
    if documents.urn(offered["document"]) != urn:
        raise errors.InvalidInputError("the document is not the one that its name stands for")
    return offered


def _named(here: Invocation, partner: str, text: str) -> str:
    """Return the URN that a person means of what a partner offers."""
    from comity.framework import document as documents  # noqa: PLC0415  start-up time

    if documents.is_urn(text):
        return text
    datasets = words.datasets(here.connector.catalog(partner))
    listed = [name for name in (str(each.get("@id")) for each in datasets) if documents.is_urn(name)]
    return ids.find(text, listed, "framework agreement", hint="ask the partner for its URN")


def _wait(here: Invocation, urn: str, negotiation_id: str, timeout_s: float, again: str) -> Document:
    begun, told = time.monotonic(), here.as_json
    while True:
        found = here.connector.framework(urn)
        if found["state"] != "open":
            return found
        negotiation = here.connector.load(NEGOTIATIONS, negotiation_id)
        if negotiation.get("state") == _ENDED:
            why = str(negotiation.get("errorDetail") or "the partner ended it")
            raise errors.PolicyError(f"it was not signed: {output.clean(why)}")
        waits = (negotiation.get("approval") or {}).get("waitsFor")
        if waits and not told:
            output.line(f"\n{waits}; they see it with: comity approvals list")
            told = True
        if time.monotonic() - begun >= timeout_s:
            raise UnfinishedError(
                f"not signed after {timeout_s:g} s", hint=f"the connector goes on; see: {again}"
            )
        time.sleep(0.25)


@app.command()
def show(
    ctx: typer.Context,
    *,
    urn: Urn,
    with_: Reader = "",
    document: Raw = False,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show one, or with --with one that a partner offers you (the word show may be left out)."""
    here = Invocation(ctx)
    if with_:
        partner = people.identity(people.find(here.connector, with_))
        urn = _named(here, partner, urn)
        found = _offered(here, partner, urn)
    else:
        found = here.connector.framework(find(here, urn))
    if document:
        from comity.framework import document as documents  # noqa: PLC0415  start-up time

        output.raw(documents.canonical(found["document"]))
    elif with_ and not here.as_json:
        said.document(found["document"], urn, us=here.us)
        texts = here.command("get", with_, str(found["textsId"]), "-o", "texts")
        output.line(f"\nread its texts: {output.clean(texts)}")
        verb = "sign" if here.us in _parties(found["document"]) else "accede"
        signing = here.command("framework", verb, urn, "--with", with_, "--texts", "texts")
        output.line(f"then {verb}: {signing}")
    else:
        _show(here, found)


def _parties(document: Document) -> set[str]:
    return {str(each["participantId"]) for each in document["parties"]}


def _show(here: Invocation, found: Document) -> None:
    if here.as_json:
        output.document(found)
        return
    said.document(found["document"], str(found["@id"]), us=here.us)
    output.line()
    said.standing(said.named(found, people.names(here.connector.partners())))


@app.command()
def attach(
    ctx: typer.Context,
    *,
    urn: Urn,
    signature: Annotated[Path, typer.Argument(metavar="FILE", help="CMS, detached, or a signed PDF.")],
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Attach a signatory's own signature, and send it to the other parties."""
    here = Invocation(ctx)
    name = find(here, urn)
    verdict = _attach(here, name, signature)
    if here.as_json:
        output.document(verdict)
    else:
        output.line(said.signature(verdict))


def _attach(here: Invocation, urn: str, place: Path) -> Document:
    try:
        content = place.read_bytes()
    except OSError as error:
        raise errors.StorageError(f"{place} cannot be read: {error.strerror}") from None
    encoded = base64.b64encode(content).decode()
    verdict: Document = here.connector.change_framework(urn, "signatures", content=encoded)
    return verdict


@app.command()
def deliver(
    ctx: typer.Context,
    *,
    urn: Urn,
    commitment: Commitment,
    quantity: Quantity,
    evidence: Evidence = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Report what you delivered of a commitment; a partner confirms it."""
    here = Invocation(ctx)
    name = find(here, urn)
    here.connector.deliver(name, commitment, quantity, evidence)
    _show(here, here.connector.framework(name))


@app.command()
def confirm(
    ctx: typer.Context, *, urn: Urn, delivery: DeliveryId, _data: Data = None, _json: AsJson = False
) -> None:
    """Confirm what a partner reported to have delivered."""
    here = Invocation(ctx)
    name = find(here, urn)
    listed = [str(each["id"]) for each in here.connector.framework(name)["deliveries"]]
    here.connector.change_framework(name, "confirm", delivery=ids.find(delivery, listed, "delivery"))
    _show(here, here.connector.framework(name))


def _changing(verb: str, text: str) -> Callable[..., None]:
    def change(
        ctx: typer.Context, *, urn: Urn, reason: Reason, _data: Data = None, _json: AsJson = False
    ) -> None:
        _change(Invocation(ctx), urn, verb, reason=reason)

    app.command(verb, help=text)(change)
    return change


_changing("suspend", "Suspend it, with the reason: everything under it stops at once, here and there.")
_changing("end", "End it for good, with the reason: everything under it ends.")


@app.command()
def resume(ctx: typer.Context, *, urn: Urn, _data: Data = None, _json: AsJson = False) -> None:
    """Bring one that you suspended in force again; what was suspended with it goes on."""
    _change(Invocation(ctx), urn, "resume")


def _change(here: Invocation, text: str, verb: str, **words: str) -> None:
    name = find(here, text)
    here.connector.change_framework(name, verb, **words)
    _show(here, here.connector.framework(name))


def find(here: Invocation, text: str) -> str:
    """Return the URN that a person means."""
    listed = [str(each["@id"]) for each in here.connector.frameworks()]
    return ids.find(text, listed, "framework agreement", hint="comity framework shows them")
