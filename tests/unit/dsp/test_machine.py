import itertools

import pytest

from comity import errors
from comity.dsp import machine, terms

KINDS = tuple(machine.TABLES)
SENDERS = (terms.CONSUMER, terms.PROVIDER)


def states(kind):
    return [None, *dict.fromkeys(machine.TABLES[kind].values())]


def messages_of(kind):
    return list(dict.fromkeys(message for _, message, _ in machine.TABLES[kind]))


CELLS = [
    (kind, *cell) for kind in KINDS for cell in itertools.product(states(kind), messages_of(kind), SENDERS)
]


def test_the_tables_have_the_protocols_seven_and_five_states():
    assert len(states(terms.NEGOTIATION)) == 7 + 1
    assert len(states(terms.TRANSFER)) == 5 + 1
    assert len(CELLS) == 8 * 7 * 2 + 6 * 5 * 2


@pytest.mark.parametrize(("kind", "state", "message", "sender"), CELLS)
def test_a_cell_is_a_row_or_is_refused_with_all_three_named(kind, state, message, sender):
    row = machine.TABLES[kind].get((state, message, sender))
    assert (message in machine.allowed(kind, state, sender)) == (row is not None)
    if row is not None:
        assert machine.apply(kind, state, message, sender) == row
        machine.check(kind, state, message, sender)
        return
    with pytest.raises(errors.ProtocolError) as caught:
        machine.apply(kind, state, message, sender)
    now = f"in state {state}" if state else "without a process"
    assert f"{message} from the {sender} is not allowed {now}" in caught.value.message
    with pytest.raises(errors.ProtocolError):
        machine.check(kind, state, message, sender)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_message_state_or_sender_is_refused(kind):
    message = messages_of(kind)[0]
    for cell in (
        (terms.REQUESTED, "NoMessage", terms.PROVIDER),
        ("NO STATE", message, terms.CONSUMER),
        (None, message, "broker"),
    ):
        with pytest.raises(errors.ProtocolError, match="not allowed"):
            machine.apply(kind, *cell)


def test_a_refusal_says_what_may_be_sent_instead():
    with pytest.raises(errors.ProtocolError, match="the consumer may send: ContractRequestMessage, "):
        machine.check(terms.NEGOTIATION, terms.OFFERED, machine.VERIFICATION, terms.CONSUMER)
    with pytest.raises(errors.ProtocolError, match="the provider may send: nothing"):
        machine.check(terms.NEGOTIATION, terms.FINALIZED, machine.NEGOTIATION_TERMINATION, terms.PROVIDER)


@pytest.mark.parametrize("kind", KINDS)
def test_either_side_may_end_whatever_has_not_ended(kind):
    for state in states(kind)[1:]:
        for sender in SENDERS:
            found = machine.TERMINATIONS[kind] in machine.allowed(kind, state, sender)
            assert found == (state not in machine.TERMINAL)


@pytest.mark.parametrize(
    ("state", "message", "sender"),
    [
        (terms.REQUESTED, machine.REQUEST, terms.CONSUMER),  # the conformance kit's CN:03-04
        (terms.OFFERED, machine.AGREEMENT, terms.PROVIDER),  # CN_C:03-02
        (terms.AGREED, machine.FINALIZE, terms.PROVIDER),  # CN_C:03-06
        (terms.ACCEPTED, machine.OFFER, terms.PROVIDER),  # CN_C:03-05
        (terms.REQUESTED, machine.ACCEPT, terms.CONSUMER),  # the offer on the table is the consumer's own
        (terms.VERIFIED, machine.FINALIZE, terms.CONSUMER),
        (terms.OFFERED, machine.ACCEPT, terms.PROVIDER),
    ],
)
def test_steps_that_the_conformance_kit_tries_are_refused(state, message, sender):
    with pytest.raises(errors.ProtocolError):
        machine.check(terms.NEGOTIATION, state, message, sender)
