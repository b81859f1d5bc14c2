"""Options that say for what a revision is meant: a part, serial numbers from and to, plants.

One of each; who needs more of them writes `comity-package.toml` into the folder.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import output

ALL = ".."

Part = Annotated[
    str | None,
    typer.Option("--part", metavar="PART", help="Meant for this part; empty: for any.", show_default=False),
]
Serials = Annotated[
    str | None,
    typer.Option(
        "--serials",
        metavar="FROM..TO",
        help="Meant for these serial numbers, both ends included: 100..199, SN-5..SN-9, 100.. without an end; SN-7 is"
        " one, .. are all.",
        show_default=False,
    ),
]
Plants = Annotated[
    list[str] | None,
    typer.Option("--plant", metavar="PLANT", help="Meant for this plant; may be repeated; empty: for any."),
]


def effectivity(
    part: str | None, serials: str | None, plants: list[str] | None
) -> list[dict[str, Any]] | None:
    """Return what the options say, as the API takes it; None where they say nothing.

    Raises:
        InvalidInputError: it cannot be told where the serial numbers begin and end.
    """
    said: dict[str, Any] = {} if part is None else {"part": part}
    if serials is not None:
        said["serialFrom"], said["serialTo"] = ends(serials) if serials.strip() != ALL else ("", "")
    if plants is not None:
        said["plants"] = [each for each in plants if each]
    return [said] if said else None


def ends(text: str) -> tuple[str, str]:
    """Return where a range of serial numbers or lots begins and ends, empty for an end that it has not: FROM..TO.

    One alone is both: hyphens belong to it.

    Raises:
        InvalidInputError: it cannot be told where it begins and ends.
    """
    first, dots, last = (part.strip() for part in text.partition(ALL))
    if not (first or last) or ALL in last or last.startswith("."):
        raise errors.InvalidInputError(
            f"where does {text!r} begin and end?",
            hint="write FROM..TO, such as SN-5..SN-9; SN-5.. has no end, and SN-5 is one alone",
        )
    return first, last if dots else first


def words(found: dict[str, Any]) -> str:
    """Return for what a revision is meant in words."""
    return " or ".join(map(_words, found.get("effectivity") or [])) or "everything"


def _words(each: dict[str, Any]) -> str:
    first, last = each.get("serialFrom"), each.get("serialTo")
    said = [
        f"part {each['part']}" if each.get("part") else "",
        "" if first == last else f"{first or 'the first'} to {last or 'the last'}",
        f"only {first}" if first and first == last else "",
        f"at {', '.join(each['plants'])}" if each.get("plants") else "",
    ]
    return output.clean(", ".join(filter(None, said)))
