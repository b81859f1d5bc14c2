"""What a partner's state means after a restore: goes on, ends, is in force, or waits for a person."""

import itertools

import pytest

from comity.controlplane import reconcile
from comity.controlplane.held import Held, Released
from comity.controlplane.reconcile import CATCHING_UP
from comity.db import restored
from comity.db.outbox import Outgoing
from comity.dsp import machine, terms
from comity.dsp.negotiation import Negotiation
from comity.dsp.transfer import Transfer
from comity.errors import LocalProtocolError

NEGOTIATION = ("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED")
TRANSFER = ("REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED")
BASE = {
    "counterparty_id": "did:web:them",
    "counterparty_address": "https://them.example",
    "counterparty_pid": "urn:theirs",
    "version": 1,
    "asset_id": "asset",
    "created_at": 0,
    "updated_at": 0,
}


def negotiation(role, state, agreement_id=None):
    more = {"offer": {}, "offered_by": terms.PROVIDER, "agreement_id": agreement_id}
    return Negotiation(id="urn:ours", role=role, state=state, **BASE, **more)


def transfer(role, state):
    return Transfer(id="urn:ours", role=role, state=state, agreement_id="a", format="HttpData-PULL", **BASE)


@pytest.mark.parametrize(
    ("role", "here", "coming", "there", "verdict", "held", "take"),
    [
        ("provider", "REQUESTED", None, "REQUESTED", restored.SAME, False, None),
        ("provider", "REQUESTED", "AGREED", "REQUESTED", restored.SAME, False, None),
        ("provider", "REQUESTED", "AGREED", "AGREED", restored.SAME, False, None),
        ("provider", "REQUESTED", "AGREED", "FINALIZED", CATCHING_UP, False, None),
        ("provider", "REQUESTED", None, "AGREED", restored.AHEAD, True, None),
        ("provider", "OFFERED", None, "FINALIZED", restored.AHEAD, True, None),
        ("provider", "AGREED", None, "FINALIZED", restored.AHEAD, True, None),
        ("provider", "VERIFIED", "FINALIZED", "AGREED", restored.BEHIND, True, None),
        ("provider", "OFFERED", None, "REQUESTED", restored.DIFFERS, True, None),
        ("consumer", "REQUESTED", None, "FINALIZED", restored.AHEAD, True, None),
        ("consumer", "AGREED", "VERIFIED", "FINALIZED", CATCHING_UP, False, None),
        ("consumer", "VERIFIED", None, "FINALIZED", restored.AHEAD, False, "FINALIZED"),
        ("provider", "VERIFIED", None, "FINALIZED", restored.AHEAD, True, None),
        ("consumer", "AGREED", None, "TERMINATED", restored.ENDED, False, "TERMINATED"),
        ("consumer", "REQUESTED", None, None, restored.UNKNOWN, True, None),
        ("consumer", "REQUESTED", None, "dreaming", restored.BEHIND, True, None),
    ],
)
def test_a_negotiation_is_judged(role, here, coming, there, verdict, held, take):
    record = negotiation(role, here, "a" if here in {"AGREED", "VERIFIED"} else None)
    found = reconcile.judge(record, coming, there)
    assert (found.name, found.held, found.take) == (verdict, held, take)


@pytest.mark.parametrize(
    ("role", "here", "there", "verdict", "held", "take"),
    [
        ("provider", "STARTED", "STARTED", restored.SAME, False, None),
        ("provider", "STARTED", "COMPLETED", restored.ENDED, False, "COMPLETED"),
        ("consumer", "STARTED", "COMPLETED", restored.ENDED, False, "TERMINATED"),
        ("provider", "REQUESTED", "COMPLETED", restored.ENDED, False, "TERMINATED"),
        ("consumer", "REQUESTED", "STARTED", restored.AHEAD, True, None),
        ("consumer", "STARTED", "SUSPENDED", restored.DIFFERS, True, None),
        ("provider", "STARTED", None, restored.UNKNOWN, True, None),
    ],
)
def test_a_transfer_is_judged(role, here, there, verdict, held, take):
    found = reconcile.judge(transfer(role, here), None, there)
    assert (found.name, found.held, found.take) == (verdict, held, take)


def test_nothing_is_taken_over_but_an_end_and_what_the_machine_allows():
    for role, here, there in itertools.product(("provider", "consumer"), NEGOTIATION[:5], NEGOTIATION):
        found = reconcile.judge(negotiation(role, here, "a"), None, there)
        if found.take not in {None, terms.TERMINATED}:
            assert (here, there, role) == ("VERIFIED", "FINALIZED", "consumer")
    for role, here, there in itertools.product(("provider", "consumer"), TRANSFER[:3], TRANSFER):
        found = reconcile.judge(transfer(role, here), None, there)
        if found.take not in {None, terms.TERMINATED}:
            assert (here, found.take) in {
                (before, after) for (before, _, _), after in machine.TRANSFER.items()
            }


def test_whoever_is_ahead_with_an_agreement_that_is_lost_here_is_always_held():
    for role, here, there in itertools.product(
        ("provider", "consumer"), ("REQUESTED", "OFFERED", "ACCEPTED"), ("AGREED", "VERIFIED", "FINALIZED")
    ):
        assert reconcile.judge(negotiation(role, here), None, there).held


def row(**more):
    base = {"kind": "negotiation", "process_id": "held", "counterparty_id": "p", "url": "u", "message": "m"}
    base |= {
        "message_id": "i",
        "body": b"",
        "before": "REQUESTED",
        "leads_to": "AGREED",
        "due_at": 0,
        "created_at": 0,
    }
    return Outgoing(**{**base, **more})


def test_what_is_held_sends_first_messages_and_its_end_only():
    held = Held()
    assert not held.keeps(row())
    held.hold(["held"])
    assert held.keeps(row())
    assert not held.keeps(row(process_id="other"))
    assert not held.keeps(row(before=None))
    assert not held.keeps(row(leads_to="TERMINATED"))
    assert held.check("held", "terminate")
    assert not held.check("other", "agree")
    with pytest.raises(LocalProtocolError, match="as it was in a backup"):
        held.check("held", "agree")
    held.notice([object(), Released("held")])
    assert not held.keeps(row())


class Reading:
    """A store that finds two processes held, while one of them is released."""

    def __init__(self):
        self.database, self.held = self, Held()

    def subscribe(self, listener):
        self.listener = listener

    async def read(self, unit):
        if unit is restored.find_last:
            return restored.Restored(at=1, backup_at=1, evidence_size=1, evidence_head="")
        found = [
            restored.Finding(kind="negotiation", process_id=name, counterparty_id="p")
            for name in ("held", "released")
        ]
        if self.held.names:
            self.listener([Released("released")])
        return found


async def test_what_is_released_while_the_store_is_read_stays_released():
    connector = Reading()
    reconciliation = reconcile.Reconciliation(connector)
    await reconciliation.begin()
    assert connector.held.names == {"held", "released"}
    await reconciliation._hold()
    assert connector.held.names == {"held"}


def test_only_a_restored_connector_asks_about_first_messages():
    held = Held()
    assert not held.recently(0)
    held.restored_at = 1000
    assert held.recently(1000 + 71 * 3600 * 1000)
    assert not held.recently(1000 + 73 * 3600 * 1000)
