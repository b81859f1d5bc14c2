"""Values as people read them: sizes, times, and the terms of a policy (ODRL) as a sentence.

Pure functions on values of the management API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from comity import errors
from comity.cli import ids
from comity.client.records import assets as datasets
from comity.client.records import offers, title

__all__ = [
    "count",
    "datasets",
    "duration",
    "enforced",
    "message",
    "moment",
    "named",
    "offers",
    "size",
    "terms",
    "title",
]

_KILO = 1000
_EXACT_BELOW = 10


def size(size_bytes: object) -> str:
    """Return a number of bytes in the unit that fits, such as `23.1 MB`; empty when it is not a number."""
    try:
        amount = float(str(size_bytes))
    except ValueError:
        return ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < _KILO or unit == "TB":
            break
        amount /= _KILO
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 * _EXACT_BELOW else f"{amount:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """Return `1 file` or `12 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def few(names: Sequence[object]) -> str:
    """Return the first five of some names."""
    shown = ", ".join(str(each) for each in names[:5])
    return f"{shown}, ..." if len(names) > 5 else shown  # noqa: PLR2004  the same five


def moment(at_ms: object) -> str:
    """Return a time in ms since 1970 as local date and time; empty when it is not one."""
    try:
        return datetime.fromtimestamp(float(str(at_ms)) / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""


def duration(seconds: float) -> str:
    """Return `0.4 s`, `12 s` or `3 min 5 s`."""
    if seconds < _EXACT_BELOW:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def named(said: list[str]) -> dict[str, list[str]]:
    """Return what NAME=VALUE says of a partner, several values of a name in one list.

    Raises:
        InvalidInputError: one of them has no name.
    """
    found: dict[str, list[str]] = {}
    for each in said:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise errors.InvalidInputError(f"{each} has no name and value", hint="write NAME=VALUE")
        found.setdefault(name, []).extend([value] if value else [])
    return found


def message(name: str) -> str:
    """Return a message's name without what says nothing more, so that it fits its column; the state says the event."""
    name = name.removeprefix("comity:").partition(":")[0].removesuffix("Message").removesuffix("Notice")
    for prefix in ("Contract", "Negotiation"):
        name = name.removeprefix(prefix)
    return "Verification" if name == "AgreementVerification" else name


def terms(policy: Any, *, us: str = "", names: Mapping[str, str] | None = None) -> str:
    """Return a policy as a sentence such as `use by you until 2027-12-31`.

    `us` is our participant id, `names` what we call others.
    """
    from comity.odrl import model, sentence  # noqa: PLC0415  start-up time

    if not isinstance(policy, Mapping):
        return "no terms"
    try:
        parsed = model.parse(policy)
    except errors.InvalidInputError as error:
        return f"terms that cannot be read: {error.message}"
    return ids.within(sentence.of(parsed, {**(names or {}), us: "you"} if us else names or {}))


def enforced(policy: Any) -> list[tuple[str, str]]:
    """Return for each class of enforcement that occurs in a policy the terms that are of it, as rows below these."""
    from comity.controlplane import operands  # noqa: PLC0415  start-up time
    from comity.odrl import enforcement  # noqa: PLC0415

    try:
        operands.load()
        found = enforcement.terms(policy) if isinstance(policy, Mapping) else ()
    except (errors.InvalidInputError, errors.SettingsError):
        return []
    by_class: dict[str, list[str]] = {}
    for each in found:
        kind = {"permission": "", "prohibition": "never ", "obligation": "must "}[each.kind]
        said = each.words if not kind or each.words == each.action else f"{each.action}: {each.words}"
        by_class.setdefault(each.enforced, []).append(kind + said)
    names = {**{name: name for name in enforcement.CLASSES}, "": "unknown, so always a no"}
    rows = [f"{said}: {'; '.join(by_class[name])}" for name, said in names.items() if name in by_class]
    return [("", ids.within(each)) for each in rows]
