"""Options that say for what a revision is meant: a part, serial numbers from and to, plants.

One of each; who needs more of them writes `comity-package.toml` into the folder.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity import errors

Part = Annotated[
    str, typer.Option("--part", metavar="PART", help="It is meant for this part.", show_default=False)
]
Serials = Annotated[
    str,
    typer.Option(
        "--serials",
        metavar="FROM..TO",
        help="Meant for these serial numbers, both ends included: 100..199, SN-5..SN-9; 100.. has no end.",
        show_default=False,
    ),
]
Plants = Annotated[
    list[str] | None, typer.Option("--plant", metavar="PLANT", help="Meant for this plant; may be repeated.")
]


def effectivity(part: str, serials: str, plants: list[str] | None) -> list[dict[str, Any]] | None:
    """Return what the options say, as the API takes it; None where they say nothing.

    Raises:
        InvalidInputError: it cannot be told where the serial numbers begin and end.
    """
    first, last = ends(serials) if serials else ("", "")
    said = {"part": part, "serialFrom": first, "serialTo": last, "plants": plants or []}
    given = {name: value for name, value in said.items() if value}
    return [given] if given else None


def ends(text: str) -> tuple[str, str]:
    """Return where a range of serial numbers or lots begins and ends, empty for an end that it has not: FROM..TO.

    A hyphen splits it as well, the one in the middle: so numbers may have hyphens of their own, as many in one as in
    the other.

    Raises:
        InvalidInputError: it cannot be told where it begins and ends.
    """
    if ".." in text:
        first, _, last = (part.strip() for part in text.partition(".."))
        if (first or last) and ".." not in last:
            return first, last
    pieces = text.split("-")
    middle = len(pieces) // 2
    first, last = "-".join(pieces[:middle]).strip(), "-".join(pieces[middle:]).strip()
    if len(pieces) % 2 or not (first or last) or ".." in text:
        raise errors.InvalidInputError(
            f"where does {text!r} begin and end?",
            hint="write FROM..TO, such as SN-5..SN-9, or FROM-TO, such as 100-199",
        )
    return first, last
