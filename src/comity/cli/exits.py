"""Exit codes: what a script can tell from a command's end, by the stable code of the error.

0 done, 1 failed, 2 the command or its input is wrong, 3 the connector cannot be reached or does not take our key,
4 the partner or a policy refused, 5 there is no such thing, 6 a hash or the evidence does not hold,
7 the watching ended while the work goes on. Ctrl-C anywhere else is 130, as shells have it.
"""

from __future__ import annotations

DONE, FAILED, USAGE, UNREACHABLE, REFUSED, NOT_FOUND, INTEGRITY, UNFINISHED = range(8)

_BY_ERROR = {
    "invalid-input": USAGE,
    "unreachable": UNREACHABLE,
    "unauthorized": UNREACHABLE,
    "policy": REFUSED,
    "delivery-refused": REFUSED,
    "refused-address": REFUSED,
    "illegal-message": REFUSED,
    "not-found": NOT_FOUND,
    "broken-evidence": INTEGRITY,
    "hash-mismatch": INTEGRITY,
    "bad-content": INTEGRITY,
    "bad-seal": INTEGRITY,
    "unfinished": UNFINISHED,
}


def code(error_code: str) -> int:
    """Return the exit code for an error's stable code."""
    return _BY_ERROR.get(error_code, FAILED)
