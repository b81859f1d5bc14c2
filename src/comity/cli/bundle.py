"""`comity evidence export`, and `verify` for the file that it writes, which needs no connector, database or network.

What a bundle has to hold is `evidence.proving`'s part, what it proves in words `proof`'s.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import AGREEMENTS

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from comity.evidence.bundle import Framework

ENDING = ".evidence.json"
_SQLITE = b"SQLite format 3\0"
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Agreement = Annotated[
    str, typer.Argument(metavar="AGREEMENT", help="Its id, or how it begins or ends.", show_default=False)
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to; else a file named after the agreement."),
]
Pinned = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="DID=THUMBPRINT",
        help="A key that counts for this participant, or the file of its DID document. May be given again.",
    ),
]
Authority = Annotated[
    Path | None,
    typer.Option(
        "--authority", metavar="FILE", help="Certificates (PEM) of the stamp authority that counts."
    ),
]
Roots = Annotated[
    Path | None,
    typer.Option(
        "--signatories", metavar="FILE", help="Certificates (PEM) that signatories' own signatures lead to."
    ),
]


def export(
    ctx: typer.Context, agreement: Agreement, *, to: Output = None, _data: Data = None, _json: AsJson = False
) -> None:
    """Write all that you hold of an agreement into one file, which a third party can check."""
    here = Invocation(ctx)
    name = processes.find(here, AGREEMENTS, agreement)
    path = to or Path(_UNSAFE.sub("-", ids.tail(name)) + ENDING)
    if path.exists():
        raise errors.ConflictError(f"{path} is there already", hint="name another file with --output")
    data = here.connector.export_evidence(name)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise errors.StorageError(f"{path} cannot be written: {error.strerror}") from None
    records = json.loads(data)["records"]
    left_out = {kind: sum(kind in each.get("withheld", ()) for each in records) for kind in ("body", "token")}
    if here.as_json:
        said = {
            "records": len(records),
            "messagesLeftOut": left_out["body"],
            "tokensLeftOut": left_out["token"],
        }
        output.document({"file": str(path), "agreement": name, "sizeBytes": len(data), **said})
        return
    output.line(f"wrote {path}: {words.count(len(records), 'record')}, {words.size(len(data))}")
    for kind, noun in (("body", "message"), ("token", "token")):
        if left_out[kind]:
            output.line(f"left out {words.count(left_out[kind], noun)} that could still be used")
    output.note(f"check it anywhere with: comity evidence verify {path}")


def is_bundle(path: Path | None) -> bool:
    """Return whether a file is to be read as a bundle and not as a database."""
    if path is None or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(len(_SQLITE))
    return start != _SQLITE and (path.name.endswith(".json") or start[:1] == b"{")


def verify(
    here: Invocation, path: Path, *, keys: Sequence[str], authority: Path | None, signatories: Path | None
) -> None:
    """Check a bundle and say what it proves."""
    from comity.cli import proof  # noqa: PLC0415  start-up time
    from comity.evidence import proving  # noqa: PLC0415

    pins = _pins(keys)
    trusted, _ = _certificates(authority)
    _, roots = _certificates(signatories)
    proven = proving.prove(_read(path), pins=pins, trusted=trusted)
    _check_named(pins, {proven.head.exporter, proven.head.partner})
    signed = asyncio.run(_signatures(proven.frameworks, roots)) if signatories else []
    if here.as_json:
        output.document(proof.document(proven) | ({"signatories": signed} if signatories else {}))
    else:
        proof.show(proven, signed if signatories else None)


def _certificates(path: Path | None) -> tuple[list[Certificate], bytes]:
    """Return the certificates of a file, and the file."""
    from comity.evidence import stamp  # noqa: PLC0415  start-up time

    if path is None:
        return [], b""
    content = _read(path)
    try:
        return stamp.certificates(content), content
    except stamp.StampError as error:
        raise errors.InvalidInputError(f"{path}: {error.message}") from None


def _check_named(pins: Collection[str], parties: Collection[str]) -> None:
    """Refuse a key of somebody who is no party: with a slip in the name it would count for nobody."""
    strangers = sorted(set(pins) - set(parties))
    if strangers:
        raise errors.InvalidInputError(
            f"--key names {strangers[0]}, and the bundle is between {' and '.join(sorted(parties))}"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise errors.NotFoundError(f"{path} cannot be read: {error.strerror}") from None


def _pins(said: Sequence[str]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for each in said:
        participant, mark, thumbprint = each.rpartition("=")
        listed = {thumbprint} if mark and _THUMBPRINT.fullmatch(thumbprint) else set()
        if not listed:
            participant, listed = _document(Path(each))
        found[participant] = found.get(participant, frozenset()) | listed
    return found


def _document(path: Path) -> tuple[str, set[str]]:
    """Return whose DID document a file is, and the thumbprints of its keys."""
    from comity.identity import did, jose  # noqa: PLC0415  start-up time

    if not path.is_file():
        raise errors.InvalidInputError(
            f"--key {path} is neither DID=THUMBPRINT nor a file",
            hint="a thumbprint has 43 characters; comity identity show prints yours",
        )
    try:
        document: Any = json.loads(path.read_bytes())
        keys = did.keys_for_invocation(document, str(document["id"]))
    except (ValueError, TypeError, KeyError, errors.IdentityError):
        raise errors.InvalidInputError(f"{path} is no DID document") from None
    return document["id"], {jose.thumbprint(each) for each in keys.values()}


async def _signatures(frameworks: Sequence[Framework], roots: bytes) -> list[dict[str, Any]]:
    """Return what signatories' own signatures over the framework agreements are worth: one of them has to hold.

    Not each of them: either party can attach what it likes, and would take the other's proof from it.
    """
    from comity.controlplane import signatories  # noqa: PLC0415  start-up time
    from comity.evidence.bundle import Where, unpacked  # noqa: PLC0415
    from comity.framework import document  # noqa: PLC0415

    if importlib.util.find_spec("pyhanko") is None:
        raise errors.InvalidInputError(f"--signatories needs {errors.install('signatures')}")
    found: list[dict[str, Any]] = []
    wrong: list[errors.ComityError] = []
    for at, framework in enumerate(frameworks):
        where = Where(f"framework agreement {at + 1}", f"$.frameworks[{at}]")
        try:
            read = document.read(framework.document)
        except errors.InvalidInputError as error:
            raise where.error(f" is none: {error.message}", ".document") from None
        written = document.canonical(framework.document)
        for number, each in enumerate(framework.signatures):
            place = where.of(f": signature {number + 1}, for {each.party}", f".signatures[{number}]")
            content = unpacked(each.content, place)
            verdict = await signatories.verify(content, written, read, roots, each.party)
            if not verdict.valid:
                wrong.append(
                    place.error(f" by {verdict.signer or 'somebody'} does not hold: {verdict.detail}")
                )
            said = {"signer": verdict.signer, "signedAt": verdict.signed_at, "valid": verdict.valid}
            found.append({"urn": framework.urn, "party": each.party, **said, "detail": verdict.detail})
    if wrong and len(wrong) == len(found):
        raise wrong[0]
    return found
