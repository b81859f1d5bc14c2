"""The tables of the state machines against the specification's diagrams: what is common and what is more."""

import re

import pytest

from comity.dsp import machine, terms
from support import specification

pytestmark = specification.missing

DIAGRAMS = {
    terms.NEGOTIATION: "contract.negotiation.state.machine.puml",
    terms.TRANSFER: "transfer-process-state-machine.puml",
}
SENDERS = {"C": terms.CONSUMER, "P": terms.PROVIDER}
STATE = re.compile(r"state (\w+) ?[^:]*: +<color:[^>]*>(\w+(?::\w+)?)\s*")
ARROW = re.compile(r"(\[\*\]|\w+) +-+> *(\[\*\]|\w+)(?:: *([CP/]+))?\s*")
EXTRA = {
    terms.NEGOTIATION: {
        # either side may end a negotiation in every state that is not terminal
        (terms.ACCEPTED, machine.NEGOTIATION_TERMINATION, terms.CONSUMER): terms.TERMINATED,
        (terms.AGREED, machine.NEGOTIATION_TERMINATION, terms.PROVIDER): terms.TERMINATED,
        (terms.VERIFIED, machine.NEGOTIATION_TERMINATION, terms.CONSUMER): terms.TERMINATED,
    },
    terms.TRANSFER: {
        # the provider's start after the consumer resumed carries the fresh data address
        (terms.STARTED, machine.START, terms.PROVIDER): terms.STARTED,
    },
}


def read(kind):
    """Return the rows of a diagram and its terminal states; a state is entered by the message written in it."""
    lines = (
        (specification.FOLDER / "state-machines" / DIAGRAMS[kind]).read_text(encoding="utf-8").splitlines()
    )
    entered = {}
    rows, terminal = {}, set()
    for line in lines:
        if found := STATE.fullmatch(line):
            name, _, event = found[2].partition(":")
            entered[found[1]] = f"{name}:{event.upper()}" if event else name
        elif found := ARROW.fullmatch(line):
            before, after, senders = found[1], found[2], found[3]
            if after == "[*]":
                terminal.add(before)
                continue
            for sender in senders.split("/"):
                rows[None if before == "[*]" else before, entered[after], SENDERS[sender]] = after
        else:
            assert "-->" not in line, f"not understood: {line}"
    return rows, terminal


@pytest.mark.parametrize("kind", DIAGRAMS)
def test_every_arrow_of_the_diagram_is_a_row_of_the_table(kind):
    rows, _ = read(kind)
    assert len(rows) >= 14
    assert {key: machine.TABLES[kind].get(key) for key in rows} == rows


@pytest.mark.parametrize("kind", DIAGRAMS)
def test_the_table_has_exactly_the_extra_rows_that_its_module_explains(kind):
    rows, _ = read(kind)
    assert {key: after for key, after in machine.TABLES[kind].items() if key not in rows} == EXTRA[kind]
    assert "Two rows go beyond the diagrams" in machine.__doc__


@pytest.mark.parametrize("kind", DIAGRAMS)
def test_what_the_diagram_ends_in_is_terminal_and_nothing_leaves_it(kind):
    _, terminal = read(kind)
    states = set(machine.TABLES[kind].values())
    assert states & machine.TERMINAL == terminal
    assert not [key for key in machine.TABLES[kind] if key[0] in terminal]
