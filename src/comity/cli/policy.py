"""From the options of `comity publish` to a policy: who, until when, for what, where, how often; or a file.

Dataspace Protocol 2025-1 takes ODRL as JSON; which words can be enforced is checked by `comity.odrl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from comity import errors

Document = dict[str, Any]


def build(
    *,
    recipients: Sequence[str],
    until: str | None,
    purposes: Sequence[str],
    places: Sequence[str],
    count: int | None,
) -> Document | None:
    """Return a policy that permits use where all of these hold, or None when nothing is asked for.

    Raises:
        InvalidInputError: `until` is no date or time.
    """
    if until is not None:
        _check_time(until)
    constraints = [
        *_any_of("recipient", recipients),
        *([_atom("dateTime", "lteq", until)] if until is not None else []),
        *_any_of("purpose", purposes),
        *_any_of("spatial", places),
        *([_atom("count", "lteq", str(count))] if count is not None else []),
    ]
    if not constraints:
        return None
    return {"@type": "Set", "permission": [{"action": "use", "constraint": constraints}]}


def read(path: Path) -> Document:
    """Return the policy in a JSON file.

    Raises:
        InvalidInputError: it cannot be read, is no JSON object, or says what cannot be enforced.
    """
    from comity import strict_json  # noqa: PLC0415  start-up time
    from comity.odrl import model  # noqa: PLC0415

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


def _atom(operand: str, operator: str, right: str | list[str]) -> Document:
    return {"leftOperand": operand, "operator": operator, "rightOperand": right}


def _any_of(operand: str, values: Sequence[str]) -> list[Document]:
    if not values:
        return []
    return [_atom(operand, "eq", values[0]) if len(values) == 1 else _atom(operand, "isAnyOf", list(values))]


def _check_time(until: str) -> None:
    from comity.odrl import values  # noqa: PLC0415  start-up time

    if values.read_time(until) is None:
        raise errors.InvalidInputError(
            f"--until {until or repr(until)} is no date",
            hint="write 2027-12-31 (that whole day, UTC) or 2027-12-31T12:00:00Z",
        )
