"""JSON as it comes from outside, read strictly, and JSON as it is compared and hashed, written in one way.

What other readers let pass and later trip over is refused here with its reason: duplicate keys, NaN and infinities,
lone surrogates, a byte order mark, nesting past any use, bytes that are not UTF-8 (RFC 8259, RFC 7493 I-JSON).
Who calls: `dsp.codec` for the protocol, `api` for the management API, `techdata` for manifests.
"""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any, NoReturn

import msgspec

from comity import errors

MAX_DEPTH = 128
MAX_VALUES = 20_000
"""How many values a body may hold: reading 400,000 of them, which fit into 1 MiB, holds everybody up for 0.8 s."""

_canonical = msgspec.json.Encoder(order="sorted")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise errors.InvalidInputError(
            f"the key {_twice(pairs)!r} stands twice in one object", hint="send each key once"
        )
    return members


def _twice(pairs: list[tuple[str, Any]]) -> str:
    return Counter(name for name, _ in pairs).most_common(1)[0][0][:100]


def _refuse_constant(name: str) -> NoReturn:
    raise errors.InvalidInputError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise errors.InvalidInputError(f"the number {text[:40]} is too large")
    return number


def _storable(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**64:  # what is read here is stored, and must come back as the same number
        raise errors.InvalidInputError(f"the number {text[:40]} is too large")
    return number


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_storable
)


def decode(body: bytes, *, most: int = MAX_VALUES) -> Any:
    """Return the JSON value in `body`, which holds at most about `most` values.

    Raises:
        InvalidInputError: it is not JSON, or JSON that two readers could understand differently.
    """
    if len(body) > most and body.count(b",") + body.count(b"[") + body.count(b"{") > most:
        raise errors.InvalidInputError(f"the body holds more than {most} values")
    try:
        return _parse(body.decode("utf-8"))
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise errors.InvalidInputError(f"the body is not valid UTF-8: {error.reason}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise errors.InvalidInputError(f"the body is not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise errors.InvalidInputError("the body has a number with too many digits") from None


def _parse(text: str) -> Any:
    value = _decoder.decode(text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # an escaped lone surrogate fails here
    return value


def _check_depth(value: Any) -> None:
    """Refuse what the parser's own limit, which hangs on the caller's stack, let pass."""
    level, depth = [value], 0
    while containers := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [
            member for each in containers for member in (each.values() if isinstance(each, dict) else each)
        ]


def _too_deep() -> errors.InvalidInputError:
    return errors.InvalidInputError(f"the body is nested too deeply: more than {MAX_DEPTH} levels")


def decode_object(body: bytes, *, most: int = MAX_VALUES) -> dict[str, Any]:
    """Return the JSON object in `body`, of at most about `most` values; anything else than an object is refused."""
    value = decode(body, most=most)
    if not isinstance(value, dict):
        raise errors.InvalidInputError(f"the body must be a JSON object, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return _KINDS.get(type(value), "a number")


_KINDS = {list: "an array", str: "a string", bool: "a boolean"}


def canonical(value: Any) -> bytes:
    """Encode `value` with sorted keys and no space, so that equal values are equal bytes."""
    try:
        return _canonical.encode(value)
    except RecursionError:
        raise _too_deep() from None


def digest(value: Any) -> bytes:
    """SHA-256 over the canonical form, 32 bytes."""
    return sha256(canonical(value)).digest()
