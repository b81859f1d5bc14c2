"""The left operands that this connector knows: what a value of each is, who sees to it, where its fact comes from.

ODRL's own are bare words, ours have the prefix `comity:`, others' are in `catenax` and `edc`. Whoever starts a program
adds further ones by `register`, before any policy is read: what was read keeps what it found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from comity import errors
from comity.odrl import catenax, edc, operators, vocabulary
from comity.odrl.operand import ATTESTED, CONTRACT, NODE, OBLIGATION, PROVIDER, Operand, Use

_OWN: Final = "comity:"
_HANDED_OUT: Final = "This provider checks it before each agreement, each transfer and each request for data"

_STANDARD: Final = (
    Operand(
        name="recipient",
        kind="text",
        enforced=PROVIDER,
        meaning=f"{_HANDED_OUT}: the partner's token proves who it is.",
        source="the participant id that the partner's token proves",
    ),
    Operand(
        name="dateTime",
        kind="time",
        enforced=PROVIDER,
        meaning=f"{_HANDED_OUT}, and ends a transfer that runs; the receiver's own Comity locks what it holds.",
        source="the time at this connector",
    ),
    Operand(
        name="purpose",
        kind="text",
        enforced=NODE,
        meaning="This provider hands out to partners with this purpose only; the receiver's own Comity asks for the "
        "purpose of each use, refuses another one and writes it down.",
        source="the purposes that the list of partners states for the partner",
    ),
    Operand(
        name="spatial",
        kind="text",
        enforced=ATTESTED,
        meaning="This provider hands out to partners for whom it has written down such a place; that the data stay "
        "there is the partner's word.",
        source="the places that the list of partners states for the partner",
    ),
    Operand(
        name="count",
        kind="number",
        enforced=PROVIDER,
        meaning="This provider counts the transfers of the asset to the partner and begins no further one.",
        source="how many transfers of the asset the partner was given under all its agreements, this one included",
    ),
    Operand(
        name="elapsedTime",
        kind="duration",
        enforced=PROVIDER,
        meaning=f"{_HANDED_OUT}: time is counted from the agreement on.",
        source="the time since the agreement was made",
    ),
    Operand(
        name="event",
        kind="text",
        enforced=NODE,
        meaning="It says when a duty falls due; the receiver's own Comity acts on it.",
        source="what has happened to the agreement",
        rules=(OBLIGATION,),
        codes=frozenset({f"{_OWN}agreementEnd"}),
    ),
    Operand(
        name=f"{_OWN}frameworkAgreement",
        kind="text",
        enforced=PROVIDER,
        meaning=f"{_HANDED_OUT}: the framework agreement is signed by both sides and in force.",
        source="the framework agreements that are in force with the partner",
    ),
    Operand(
        name=f"{_OWN}distributionClass",
        kind="text",
        enforced=PROVIDER,
        meaning=f"{_HANDED_OUT}: this class is written down for the partner.",
        source="the distribution classes that the list of partners states for the partner",
    ),
    Operand(
        name=f"{_OWN}personNationality",
        kind="text",
        enforced=NODE,
        meaning="The receiver's own Comity opens the data only for persons who are stated to have this nationality; "
        "any other connector is bound by the contract alone.",
        source="the nationality that is stated of the person who opens the data",
        elsewhere=True,
    ),
    Operand(
        name=f"{_OWN}revisionStatus",
        kind="text",
        enforced=NODE,
        meaning="This provider hands out such revisions only; the receiver's own Comity opens what it holds only while "
        "the provider has not told it otherwise of the revision.",
        source="what became of the revision: released, superseded or recalled",
        codes=frozenset({"released", "superseded", "recalled"}),
    ),
    Operand(
        name=f"{_OWN}licence",
        kind="text",
        enforced=PROVIDER,
        meaning=f"{_HANDED_OUT}: the licence is written down here, valid, and its quantity not used up.",
        source="the licences for the partner that are valid and not used up",
    ),
)

_TABLE: Final[dict[str, Operand]] = {
    each.name: each for each in (*_STANDARD, edc.IN_FORCE, *catenax.OPERANDS)
}
_REGISTERED: Final[dict[str, Operand]] = {}
_LEFT: Final[dict[str, operators.Elsewhere]] = {
    each.name: operators.ELSEWHERE for each in _TABLE.values() if each.elsewhere
}


def find(name: str) -> Operand | None:
    """Return the operand with a name, or None: then nothing is known of it."""
    return _TABLE.get(name)


def names() -> tuple[str, ...]:
    """Return the names of all operands."""
    return tuple(_TABLE)


def every() -> tuple[Operand, ...]:
    """Return all operands."""
    return tuple(_TABLE.values())


def attributes() -> tuple[str, ...]:
    """Return the operands whose fact is what somebody states of a partner under their names, and nothing else."""
    own = (each.name for each in _REGISTERED.values() if each.fact is None and not each.elsewhere)
    return (*catenax.ATTRIBUTES, *own)


def register(operand: Operand) -> None:
    """Add an operand of one's own; the same one twice is no mistake.

    Raises:
        InvalidInputError: its name is no name with a prefix, or is taken, or it says wrongly what it is.
    """
    if _TABLE.get(operand.name) is operand:
        return
    problem = _problem(operand)
    if problem:
        raise errors.InvalidInputError(f"the operand {vocabulary.printable(operand.name)} {problem}")
    _TABLE[operand.name] = _REGISTERED[operand.name] = operand
    if operand.elsewhere:
        _LEFT[operand.name] = operators.ELSEWHERE


def forget(name: str) -> None:
    """Take an operand away that was added by `register`; policies that were read before keep it."""
    if _REGISTERED.pop(name, None) is not None:
        del _TABLE[name]
        _LEFT.pop(name, None)


def left_to_the_receiver() -> Mapping[str, operators.Elsewhere]:
    """Return as facts what a provider leaves to the receiver's own connector, which alone can tell."""
    return _LEFT


def _problem(operand: Operand) -> str:
    prefix, _, rest = operand.name.partition(":")
    if not (prefix and rest and operand.name.isascii() and operand.name.isprintable()):
        return "needs a name with a prefix or a URI, such as example:cleared"
    if operand.name.startswith(_OWN) or vocabulary.term(operand.name) != operand.name:
        return "has a prefix that belongs to Comity or to ODRL"
    if edc.operand(catenax.operand(operand.name)) in _TABLE:
        return "is known already"
    if operand.kind not in vocabulary.KINDS:
        return f"has no kind of value: {', '.join(vocabulary.KINDS)}"
    if operand.enforced not in (PROVIDER, NODE, ATTESTED, CONTRACT):
        return f"has no class of enforcement: {PROVIDER}, {NODE}, {ATTESTED} or {CONTRACT}"
    return "" if operand.meaning and operand.source else "needs its meaning and its source, one sentence each"


def own_facts(use: Use) -> dict[str, object]:
    """Return the facts of the operands that somebody added; one that fails is not stated, and so says no."""
    found: dict[str, object] = {}
    for operand in _REGISTERED.values():
        if operand.fact is not None:
            try:
                found[operand.name] = operand.fact(use)
            except Exception:  # noqa: BLE001  somebody else's code: whatever goes wrong there is a no, nothing worse
                found[operand.name] = None
    return found
