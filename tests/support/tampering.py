"""Changes to a bundle, each at one place that is known: bits of the file, values, whole parts, one for another.

`named_truly` decides whether an error says something true about the place of a change.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from comity import strict_json
from comity.evidence.bundle import BundleError
from comity.evidence.place import path_at

MOST_BYTES_ON = 200
SEEN_FROM = {
    "head": ("keys", "checkpoints", "agreement", "records"),
    "agreement": ("head", "subjects", "frameworks", "terms"),
    "subjects": ("agreement", "records", "subjects"),
    "keys": ("checkpoints", "records", "seal"),
    "authorities": ("checkpoints",),
    "checkpoints": ("records",),
    "frameworks": (),
    "records": (),
    "terms": (),
    "seal": (),
}
"""Where a change of a part may be met: a key is not itself wrong, but the signature that it was of is."""
WORDS = {
    "keys": "key",
    "authorities": "stamp",
    "checkpoints": "chain|checkpoint|row",
    "subjects": "of|process",
}


class Change(NamedTuple):
    """The changed file, what kind of change it is, and the place."""

    kind: str
    path: str
    data: bytes
    offset: int = -1


def changes(data: bytes, count: int, seed: int) -> Iterator[Change]:
    """Make `count` changes, half of them single bits of the file."""
    chance = random.Random(seed)
    kinds = [_value, _value, _dropped, _added, _renamed, _swapped, _twice, _stand_in]
    while count > 0:
        made = _bit(data, chance) if count % 2 else chance.choice(kinds)(msgspec.json.decode(data), chance)
        if made is None or made.data == data:
            continue
        count -= 1
        yield made


def _bit(data: bytes, chance: random.Random) -> Change:
    offset = chance.randrange(len(data))
    changed = bytearray(data)
    changed[offset] ^= 1 << chance.randrange(8)
    return Change("bit", path_at(data, offset), bytes(changed), offset)


def _places(value: Any, path: str = "$") -> Iterator[tuple[str, Any, Any]]:
    """Every path with its container and its name or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in items:
        place = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}"
        yield place, value, name
        yield from _places(each, place)


def _any(value: Any, chance: random.Random, kind: type | tuple[type, ...] = object) -> tuple[str, Any, Any]:
    return chance.choice([each for each in _places(value) if isinstance(each[1][each[2]], kind)])


def _made(kind: str, path: str, value: Any) -> Change:
    return Change(kind, path, strict_json.canonical(value))


def _value(value: Any, chance: random.Random) -> Change:
    path, holder, name = _any(value, chance, (str, int))
    old = holder[name]
    if isinstance(old, bool):
        holder[name] = not old
    elif isinstance(old, int):
        holder[name] = old + chance.choice((-1, 1, 1000))
    else:
        at = chance.randrange(len(old) + 1)
        holder[name] = old[:at] + chance.choice("aZ0-_") + old[at + chance.randrange(2) :]
    return _made("value", path, value)


def _dropped(value: Any, chance: random.Random) -> Change:
    path, holder, name = _any(value, chance)
    del holder[name]
    return _made("dropped", path, value)


def _added(value: Any, chance: random.Random) -> Change:
    path, holder, name = _any(value, chance, (dict, list))
    inside = holder[name]
    if isinstance(inside, dict):
        inside["added"] = "x"
    else:
        inside.append(chance.choice([*inside, "x"]))
    return _made("added", path, value)


def _renamed(value: Any, chance: random.Random) -> Change | None:
    path, holder, name = _any(value, chance)
    if not isinstance(name, str):
        return None
    holder[name + "s"] = holder.pop(name)
    return _made("renamed", path, value)


def _list(value: Any, chance: random.Random) -> tuple[str, list[Any]]:
    path, holder, name = _any(value, chance, list)
    return path, holder[name]


def _swapped(value: Any, chance: random.Random) -> Change | None:
    path, listed = _list(value, chance)
    if len(listed) < 2:
        return None
    one, other = chance.sample(range(len(listed)), 2)
    listed[one], listed[other] = listed[other], listed[one]
    return _made("swapped", path, value)


def _twice(value: Any, chance: random.Random) -> Change | None:
    path, listed = _list(value, chance)
    if not listed:
        return None
    listed.insert(chance.randrange(len(listed)), copy.deepcopy(chance.choice(listed)))
    return _made("twice", path, value)


def _stand_in(value: Any, chance: random.Random) -> Change | None:
    """Let a value stand where another of the same name stood: a body, a proof, a key, a token of another message."""
    path, holder, name = _any(value, chance)
    others = [
        each
        for place, each, other in _places(value)
        if other == name and place != path and each is not holder
    ]
    if isinstance(name, int) or not others:
        return None
    holder[name] = copy.deepcopy(chance.choice(others)[name])
    return _made("stand-in", path, value)


def named_truly(change: Change, error: BundleError) -> bool:
    """Return whether an error tells something that is true of the place of a change."""
    byte = re.match(r"(?:the file cannot be read at )?byte ([\d,]+)", error.message)
    if byte and change.offset >= 0 and 0 <= int(byte[1].replace(",", "")) - change.offset < MOST_BYTES_ON:
        return True
    if _same_branch(change.path, error.path):
        return True
    if "stands behind" in error.message:  # one of the two names was changed
        return change.path.rpartition(".")[0] == error.path.rpartition(".")[0]
    part, met = _part(change.path), _part(error.path)
    if met not in SEEN_FROM.get(part, ()):
        return False
    return re.search(WORDS.get(part, ""), error.message) is not None


def _same_branch(one: str, other: str) -> bool:
    """Return whether two places are in the same member of the same part: the same record, key, checkpoint."""
    first, second = (re.findall(r"[^.\[\]$]+", each)[:2] for each in (one, other))
    return all(a == b for a, b in zip(first, second, strict=False))


def _part(path: str) -> str:
    return (re.findall(r"[^.\[\]$]+", path) or [""])[0]
