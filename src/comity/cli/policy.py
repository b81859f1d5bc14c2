"""From the options of `comity publish` to a policy: markings, who, until when, for what, where, how often; or a file.

Dataspace Protocol 2025-1 takes ODRL as JSON; which words can be enforced is checked by `comity.odrl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity import errors

if TYPE_CHECKING:
    from comity.odrl import marking

GROUP = "comity.markings"
Document = dict[str, Any]


def build(
    *,
    recipients: Sequence[str],
    until: str | None,
    purposes: Sequence[str],
    places: Sequence[str],
    count: int | None,
    nationalities: Sequence[str] = (),
    classes: Sequence[str] = (),
    licence: str = "",
    delete_after: str = "",
    current_only: bool = False,
    marks: Sequence[str] = (),
) -> Document | None:
    """Return a policy that permits use where all of these hold, or None when nothing is asked for.

    Raises:
        InvalidInputError: `until` is no date or time, or a marking is unknown or needs to be told more.
    """
    from comity.odrl import marking, model  # noqa: PLC0415  start-up time

    if until is not None:
        _check_time(until)
    said = marking.Said(
        recipients=recipients,
        until=until or "",
        purposes=purposes,
        places=places,
        count=count,
        nationalities=nationalities,
        classes=classes,
        licence=licence,
        delete_after=delete_after,
        current_only=current_only,
    )
    made = marking.policy(said, marking.choose(marks, markings()))
    if made is not None:
        model.check(model.parse(made))
    return made


def markings() -> list[marking.Marking]:
    """Return the markings that there are: the standard ones, and those of packages that are installed beside Comity.

    A package names one in its entry points, in the group `comity.markings`.
    """
    from importlib import metadata  # noqa: PLC0415  start-up time

    from comity.odrl import marking  # noqa: PLC0415

    return [*marking.STANDARD, *(each.load() for each in metadata.entry_points(group=GROUP))]


def read(path: Path) -> Document:
    """Return the policy in a JSON file.

    Raises:
        InvalidInputError: it cannot be read, is no JSON object, or says what is not known.
        SettingsError: an operand that another package brings cannot be loaded.
    """
    from comity import strict_json  # noqa: PLC0415  start-up time
    from comity.controlplane import operands  # noqa: PLC0415
    from comity.odrl import model  # noqa: PLC0415

    operands.load()
    try:
        policy = strict_json.decode_object(path.read_bytes())
        model.check(model.parse(policy))
    except OSError as error:
        raise errors.InvalidInputError(
            f"{path} cannot be read: {error.strerror}",
            hint="--policy takes a file with an ODRL policy in JSON",
        ) from None
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(f"{path}: {error.message}", path=error.path, hint=error.hint) from None
    return policy


def is_past(until: str) -> bool:
    """Tell whether a day or time has ended, so that nobody may use what is offered until then."""
    from comity.odrl import values  # noqa: PLC0415  start-up time

    read = values.read_time(until)
    return read is not None and read[1] < values.microseconds(datetime.now(UTC))


def _check_time(until: str) -> None:
    from comity.odrl import values  # noqa: PLC0415  start-up time

    if values.read_time(until) is None:
        raise errors.InvalidInputError(
            f"--until {until or repr(until)} is no date",
            hint="write 2027-12-31 (that whole day, UTC) or 2027-12-31T12:00:00Z",
        )
