"""`comity package`: a package folder out of an AASX, and an AASX out of a package folder.

No connector is needed for that: both are on this machine, and what is offered is said when the folder is published.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity import errors
from comity.cli import output, words
from comity.cli.invocation import AsJson, Invocation

if TYPE_CHECKING:
    from comity.storage.aasx import Report
    from comity.techdata.manifest import Manifest

app = typer.Typer(no_args_is_help=True, help="Package folders from an AASX, and to one.")
SHOWN = 3

File = Annotated[str, typer.Argument(metavar="FILE", help="The AASX.")]
Source = Annotated[
    str, typer.Argument(metavar="FOLDER", help="A package folder: yours, or one that you received.")
]
Target = Annotated[str, typer.Argument(metavar="FOLDER", help="A folder that is new or empty.")]
Technical = Annotated[
    Path | None,
    typer.Option(
        "--technical-data",
        metavar="TOML",
        help="Also write technical data (IDTA 02003) with what this file says.",
        show_default=False,
    ),
]


@app.command("import")
def import_(ctx: typer.Context, file: File, folder: Target, _json: AsJson = False) -> None:
    """Make a package folder of an AASX: its files, its submodels as JSON, and what it says of documents."""
    from comity.storage import aasx  # noqa: PLC0415  start-up time

    _show(ctx, aasx.unpack(file, folder), "imported", folder)


@app.command("export")
def export(
    ctx: typer.Context, folder: Source, file: File, technical_data: Technical = None, _json: AsJson = False
) -> None:
    """Make an AASX of a package folder: its files with handover documentation (IDTA 02004), and its submodels."""
    from comity.storage import aasx_export  # noqa: PLC0415  start-up time

    more = _technical(technical_data) if technical_data else None
    _show(ctx, aasx_export.pack(folder, file, more), "exported", file)


def _technical(path: Path) -> Callable[[Manifest], list[dict[str, Any]]]:
    from comity.techdata import shell, technical  # noqa: PLC0415  start-up time

    try:
        data = path.read_bytes()
    except OSError as error:
        raise errors.InvalidInputError(f"{path} cannot be read: {error.strerror}") from None
    return lambda made: [technical.submodel(data, shell.submodel_id(made.id, "technical"))]


def _show(ctx: typer.Context, done: Report, what: str, where: str) -> None:
    notes = [*done.notes, *_rules(done)]
    if Invocation(ctx).as_json:
        output.document(
            {
                "folder" if what == "imported" else "file": where,
                "files": done.files,
                "sizeBytes": done.size_bytes,
                "documents": done.documents,
                "submodels": done.submodels,
                "notes": notes,
            }
        )
        return
    output.pairs(
        [
            (what, where),
            ("files", f"{words.count(done.files, 'file')}, {words.size(done.size_bytes)}"),
            ("documents", done.documents),
            ("submodels", ", ".join(done.submodels)),
        ]
    )
    for each in notes:
        output.note(output.clean(each))


def _rules(done: Report) -> list[str]:
    """Return what breaks a rule of the metamodel, or that nobody looked: nothing is left out because of it."""
    from comity.storage import aas_rules  # noqa: PLC0415  start-up time

    try:
        found = aas_rules.problems(done.environment)
    except errors.StorageError as error:
        return [f"{error.message}; {error.hint}"]
    if not found:
        return []
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    listed = "; ".join(found[:SHOWN])
    return [f"it breaks rules of the AAS metamodel, other tools may drop that part: {listed}{more}"]
