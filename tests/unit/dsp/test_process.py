import itertools

import pytest

from comity import errors
from comity.dsp import machine, process, terms
from comity.dsp.process import Step

NEGOTIATION, TRANSFER = terms.NEGOTIATION, terms.TRANSFER
CONSUMER, PROVIDER = terms.CONSUMER, terms.PROVIDER


def test_a_legal_message_is_a_step():
    step = process.receive(NEGOTIATION, terms.REQUESTED, None, machine.AGREEMENT, PROVIDER)
    assert step == Step(terms.REQUESTED, terms.AGREED)


def test_a_first_message_is_a_step_from_nothing():
    step = process.receive(NEGOTIATION, None, None, machine.REQUEST, CONSUMER)
    assert step == Step(None, terms.REQUESTED)


def test_the_early_next_message_counts_as_the_acknowledgement_of_ours():
    step = process.receive(NEGOTIATION, terms.REQUESTED, terms.AGREED, machine.VERIFICATION, CONSUMER)
    assert step == Step(terms.AGREED, terms.VERIFIED, implied=True)


def test_an_agreement_may_come_before_the_answer_to_our_request():
    step = process.receive(NEGOTIATION, None, terms.REQUESTED, machine.AGREEMENT, PROVIDER)
    assert step == Step(terms.REQUESTED, terms.AGREED, implied=True)


def test_a_message_that_overtook_ours_withdraws_ours():
    step = process.receive(TRANSFER, terms.STARTED, terms.SUSPENDED, machine.COMPLETION, CONSUMER)
    assert step == Step(terms.STARTED, terms.COMPLETED, withdrawn=True)


def test_a_message_that_met_our_completion_is_to_be_sent_again():
    with pytest.raises(
        errors.ConflictError, match="TransferSuspensionMessage met our message that leads to COMPLETED"
    ):
        process.receive(TRANSFER, terms.STARTED, terms.COMPLETED, machine.SUSPENSION, CONSUMER)
    step = process.receive(TRANSFER, terms.STARTED, terms.COMPLETED, machine.TRANSFER_TERMINATION, CONSUMER)
    assert step == Step(terms.STARTED, terms.TERMINATED, withdrawn=True)


@pytest.mark.parametrize(
    ("intent", "message", "sender"),
    [
        (terms.STARTED, machine.SUSPENSION, CONSUMER),
        (terms.SUSPENDED, machine.START, PROVIDER),
        (terms.SUSPENDED, machine.SUSPENSION, CONSUMER),
        (terms.SUSPENDED, machine.SUSPENSION, PROVIDER),
    ],
)
def test_what_met_a_message_under_way_that_it_could_come_before_or_after_is_to_be_sent_again(
    intent, message, sender
):
    with pytest.raises(errors.ConflictError, match=f"{message} met our message that leads to {intent}"):
        process.receive(TRANSFER, terms.STARTED, intent, message, sender)


def test_a_start_gives_way_to_a_suspension_once_it_is_not_under_way():
    met = (TRANSFER, terms.STARTED, terms.STARTED, machine.SUSPENSION, CONSUMER)
    assert process.receive(*met, under_way=False) == Step(terms.STARTED, terms.SUSPENDED, withdrawn=True)
    with pytest.raises(errors.ConflictError):
        process.receive(TRANSFER, terms.STARTED, terms.SUSPENDED, machine.START, PROVIDER, under_way=False)


def test_the_consumers_suspension_gives_way_to_the_providers_once_it_is_not_under_way():
    met = (TRANSFER, terms.STARTED, terms.SUSPENDED, machine.SUSPENSION)
    step = process.receive(*met, PROVIDER, under_way=False)
    assert step == Step(terms.STARTED, terms.SUSPENDED, withdrawn=True)
    with pytest.raises(errors.ConflictError):
        process.receive(*met, CONSUMER, under_way=False)


def test_a_termination_is_taken_whatever_of_ours_is_on_its_way():
    for intent in (terms.AGREED, terms.OFFERED, terms.TERMINATED):
        step = process.receive(
            NEGOTIATION, terms.REQUESTED, intent, machine.NEGOTIATION_TERMINATION, CONSUMER
        )
        assert step.after == terms.TERMINATED
        assert step.implied or step.withdrawn


@pytest.mark.parametrize(
    ("kind", "state", "message", "sender"),
    [
        (NEGOTIATION, terms.OFFERED, machine.ACCEPT, CONSUMER),
        (NEGOTIATION, terms.REQUESTED, machine.AGREEMENT, PROVIDER),
        (TRANSFER, terms.STARTED, machine.SUSPENSION, CONSUMER),
        (TRANSFER, terms.SUSPENDED, machine.START, CONSUMER),
        (TRANSFER, terms.STARTED, machine.COMPLETION, CONSUMER),
        (NEGOTIATION, terms.VERIFIED, machine.FINALIZE, PROVIDER),
    ],
)
def test_nothing_but_a_termination_overtakes_our_own_termination(kind, state, message, sender):
    with pytest.raises(errors.RemoteProtocolError, match=f"{message} comes too late"):
        process.receive(kind, state, terms.TERMINATED, message, sender)


def test_what_is_legal_neither_before_nor_after_ours_is_the_partners_error():
    with pytest.raises(errors.RemoteProtocolError, match=r"VerificationMessage from the consumer .* OFFERED"):
        process.receive(NEGOTIATION, terms.REQUESTED, terms.OFFERED, machine.VERIFICATION, CONSUMER)
    with pytest.raises(errors.RemoteProtocolError, match="not allowed in state FINALIZED"):
        process.receive(NEGOTIATION, terms.FINALIZED, None, machine.NEGOTIATION_TERMINATION, CONSUMER)


@pytest.mark.parametrize("kind", [NEGOTIATION, TRANSFER])
def test_every_step_that_is_taken_is_a_row_of_the_table(kind):
    table = machine.TABLES[kind]
    states = [None, *dict.fromkeys(table.values())]
    keys = dict.fromkeys(message for _, message, _ in table)
    for state, intent, message, sender in itertools.product(states, states, keys, (CONSUMER, PROVIDER)):
        try:
            step = process.receive(kind, state, intent, message, sender)
        except (errors.RemoteProtocolError, errors.ConflictError):
            ends = {terms.TERMINATED, terms.COMPLETED}
            met = {terms.STARTED, terms.SUSPENDED} >= {state, intent, table.get((state, message, sender))}
            assert (state, message, sender) not in table or intent in ends or met
            continue
        assert step.after == table[(step.before, message, sender)]
        assert step.before == (intent if step.implied else state)
        assert step.withdrawn == (intent is not None and not step.implied)


def test_our_own_move_follows_the_table():
    assert process.move(NEGOTIATION, terms.REQUESTED, None, machine.OFFER, PROVIDER) == terms.OFFERED
    with pytest.raises(errors.LocalProtocolError, match="ContractOfferMessage from the provider"):
        process.move(NEGOTIATION, terms.ACCEPTED, None, machine.OFFER, PROVIDER)


def test_our_next_move_waits_for_the_one_on_its_way():
    with pytest.raises(errors.LocalProtocolError, match="leads to AGREED is still on its way"):
        process.move(NEGOTIATION, terms.REQUESTED, terms.AGREED, machine.OFFER, PROVIDER)


def test_our_termination_follows_what_is_on_its_way():
    move = process.move(NEGOTIATION, terms.REQUESTED, terms.AGREED, machine.NEGOTIATION_TERMINATION, PROVIDER)
    assert move == terms.TERMINATED
    with pytest.raises(errors.LocalProtocolError, match="in state TERMINATED"):
        process.move(TRANSFER, terms.STARTED, terms.TERMINATED, machine.TRANSFER_TERMINATION, PROVIDER)
    with pytest.raises(errors.LocalProtocolError, match="in state FINALIZED"):
        process.move(NEGOTIATION, terms.VERIFIED, terms.FINALIZED, machine.NEGOTIATION_TERMINATION, PROVIDER)
