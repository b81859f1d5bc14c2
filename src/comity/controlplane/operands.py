"""Operands and code lists that other packages bring: found by their entry points `comity.operands`, once a process.

Each entry point is an `Operand` or `CodeList` of `comity.odrl`, or a sequence of these. One that cannot be loaded ends
the start with its name: without it, every offer that it limits would say no to everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Final

from comity import errors
from comity.odrl import codes, operands
from comity.odrl.codes import CodeList
from comity.odrl.operand import Operand

GROUP: Final = "comity.operands"


@cache
def load() -> tuple[str, ...]:
    """Add what other packages bring, and return the names of the operands and lists.

    Raises:
        SettingsError: one cannot be loaded, is none, or has a name that is taken; the message names it.
    """
    return tuple(name for each in sorted(metadata.entry_points(group=GROUP), key=str) for name in _add(each))


def _add(entry: metadata.EntryPoint) -> Iterator[str]:
    try:
        found = entry.load()
    except Exception as error:
        raise _refused(entry, f"{type(error).__name__}: {error}") from error
    for each in found if isinstance(found, tuple | list) else (found,):
        try:
            if isinstance(each, CodeList):
                codes.register(each)
                yield f"codes of {each.operand}"
            elif isinstance(each, Operand):
                operands.register(each)
                yield each.name
            else:
                raise _refused(entry, f"{type(each).__name__} is no Operand and no CodeList of comity.odrl")
        except errors.InvalidInputError as error:
            raise _refused(entry, error.message) from error


def _refused(entry: metadata.EntryPoint, why: str) -> errors.SettingsError:
    source = f" of {entry.dist.name}" if entry.dist is not None else ""
    return errors.SettingsError(
        f"the operand {entry.name} ({entry.value}){source} cannot be used: {why[:300]}",
        hint="mend or uninstall that package; docs/how-to/own-operands.md says what it has to bring",
    )
