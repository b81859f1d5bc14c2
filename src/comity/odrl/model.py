"""The door to policies: `parse` JSON into a `Policy`, `format` it again, `check` it before it is published.

The work is done next door: policy (the values), read, write, check. Callers know this module only.
"""

from __future__ import annotations

from comity.odrl.check import check
from comity.odrl.policy import Atomic, Constraint, Logical, Policy, Rule
from comity.odrl.read import MAX_CONSTRAINTS, MAX_DEPTH, parse
from comity.odrl.write import agreement, format, offer, terms  # noqa: A004  the pair of parse

__all__ = [
    "MAX_CONSTRAINTS",
    "MAX_DEPTH",
    "Atomic",
    "Constraint",
    "Logical",
    "Policy",
    "Rule",
    "agreement",
    "check",
    "format",
    "offer",
    "parse",
    "terms",
]
