"""What a left operand is: the kind of its values, who sees to it that its terms are kept, where its fact comes from.

The table of them is `operands`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from comity.odrl import operators, values, vocabulary

Enforced: TypeAlias = Literal["provider-enforced", "node-enforced", "attested", "contract-only"]
#: Who sees to it that a term is kept; `enforcement.CLASSES` says what each means.
PROVIDER: Final = "provider-enforced"
NODE: Final = "node-enforced"
ATTESTED: Final = "attested"
CONTRACT: Final = "contract-only"

PERMISSION, PROHIBITION, OBLIGATION = "permission", "prohibition", "obligation"
_DECIDING: Final = (PERMISSION, PROHIBITION, OBLIGATION)


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A use that is asked about, as a fact of somebody's own operand sees it; `attributes` is the list of partners'."""

    partner_id: str
    attributes: Mapping[str, list[str]]
    now_ms: int
    asset_id: str = ""
    count: int = 1


class Operand(msgspec.Struct, frozen=True, kw_only=True):
    """A left operand.

    `meaning` says in one sentence how its terms are kept, `source` where its fact comes from ("compared with ...").
    `fact` computes it for an operand of one's own; without one it is the partner's attribute of this name.
    """

    name: str
    kind: vocabulary.Kind
    enforced: Enforced
    meaning: str
    source: str
    fact: Callable[[Use], object] | None = None
    asks: str = ""  # the fact it is compared with, if that has another name
    elsewhere: bool = False  # only the receiver's own connector can tell: a provider leaves it to that
    duty: bool = False  # it says what follows from having agreed, and is never decided
    rules: tuple[str, ...] = _DECIDING  # where it may stand
    tests: Mapping[str, operators.Test] | None = None  # by operator, if others than its kind's
    read: Callable[[object], values.Values | None] | None = None  # a right operand, if not as its kind's
    codes: frozenset[str] = frozenset()  # the only values that mean something, if there is such a list
    takes: str = ""  # what its right operand is, if not what its kind's is
    written: str = ""  # its name on the wire, if another

    @property
    def known_as(self) -> str:
        """The name of the fact that it is compared with."""
        return self.asks or self.name

    @property
    def decides(self) -> bool:
        """Whether software ever checks its terms, at one side or the other."""
        return not self.duty and self.enforced != CONTRACT
