"""Queries in SQL and in Python give the same page, whatever is asked; and a page of many rows loads few."""

import itertools
import random
import tracemalloc

import pytest

from adapters.db.rows import NEGOTIATION, TRANSFER, put, replace
from comity.db import negotiations, outbox, transfers
from comity.db.outbox import Outgoing
from comity.management import processes, query
from support import stores
from support.edc import criterion

STATES = (None, "REQUESTED", "AGREED", "FINALIZED", "TERMINATED")
LEADS_TO = ("REQUESTED", "AGREED", "TERMINATED")


def document(record, leads_to, error):
    """What both ways look at, with every field that a query may name."""
    members = {
        "@id": record.id,
        "type": record.role.upper(),
        "protocol": processes.PROTOCOL,
        "state": processes.state(record.state, leads_to),
        "stateTimestamp": record.updated_at,
        "counterPartyId": record.counterparty_id,
        "counterPartyAddress": record.counterparty_address,
        "assetId": record.asset_id,
        "correlationId": record.counterparty_pid,
        "contractAgreementId": record.agreement_id,
        "errorDetail": record.error or error or None,
        "createdAt": record.created_at,
    }
    return {name: value for name, value in members.items() if value is not None}


@pytest.fixture
async def many(store):
    """Negotiations of every kind, some with messages on their way; returns their documents in order of creation."""
    chance = random.Random(4)
    made = []
    for at in range(60):
        record = replace(
            NEGOTIATION,
            id=f"urn:n:{chance.randrange(10**6):06}-{at}",
            role=chance.choice(("consumer", "provider")),
            counterparty_id=chance.choice(("did:web:a", "did:web:b")),
            counterparty_pid=chance.choice((None, f"urn:t:{at}")),
            state=chance.choice(STATES),
            asset_id=chance.choice(("5", "part", "Part", "ä")),
            agreement_id=chance.choice((None, "urn:a")),
            error=chance.choice(("", "it broke", "away")),
            created_at=chance.randrange(20),
            updated_at=chance.randrange(20),
        )
        await put(store, negotiations, record)
        rows = [
            (chance.choice(LEADS_TO), chance.random() < 0.3, chance.choice(("", "away")))
            for _ in range(chance.choice((0, 0, 1, 2)))
        ]
        for leads_to, implied, error in rows:
            new = Outgoing(
                kind="negotiation",
                process_id=record.id,
                counterparty_id="did:web:a",
                url="u",
                message="m",
                message_id="i",
                body=b"",
                before=None,
                leads_to=leads_to,
                implied=implied,
                due_at=0,
                created_at=0,
                last_error=error,
            )
            await store.write(lambda tx, new=new: outbox.add(tx, new))
        on_their_way = [(to, error) for to, implied, error in rows if not implied]
        leads_to, error = on_their_way[-1] if on_their_way else ("", "")
        made.append((record.created_at, record.id, document(record, leads_to, error)))
    return [each for _, _, each in sorted(made, key=lambda each: each[:2])]


CRITERIA = [
    criterion("state", "=", "REQUESTED"),
    criterion("state", "=", "REQUESTING"),
    criterion("state", "=", "INITIAL"),
    criterion("state", "!=", "FINALIZED"),
    criterion("state", "in", ["FINALIZED", "TERMINATED", "TERMINATING"]),
    criterion("state", "not in", ["FINALIZED", "TERMINATED"]),
    criterion("state", "like", "%ING"),
    criterion("type", "=", "CONSUMER"),
    criterion("type", "=", "consumer"),
    criterion("assetId", "=", 5),
    criterion("assetId", "=", "5"),
    criterion("assetId", "=", {"@id": "part"}),
    criterion("assetId", "=", True),
    criterion("assetId", "<", "part"),
    criterion("assetId", "contains", "ar"),
    criterion("assetId", "ilike", "PART"),
    criterion("assetId", "=", "\ud800"),
    criterion("assetId", "in", ["part", "\ud800"]),
    criterion("assetId", "in", []),
    criterion("assetId", "not in", []),
    criterion("contractAgreementId", "=", "urn:a"),
    criterion("contractAgreementId", "!=", "urn:a"),
    criterion("contractAgreementId", "!=", "another"),
    criterion("correlationId", "not in", ["urn:t:1"]),
    criterion("errorDetail", "=", "away"),
    criterion("errorDetail", "!=", "away"),
    criterion("createdAt", "=", 7),
    criterion("createdAt", "=", "7"),
    criterion("createdAt", "=", 7.0),
    criterion("createdAt", "!=", 7),
    criterion("createdAt", ">=", 7),
    criterion("createdAt", "<", "7"),
    criterion("createdAt", "<", 10**40),
    criterion("createdAt", ">", -(10**40)),
    criterion("stateTimestamp", "in", [1, 2, 3]),
    criterion("stateTimestamp", "in", [1, "2"]),
    criterion("stateTimestamp", "<=", True),
    criterion("@id", "like", "urn:n:%-7"),
    criterion("protocol", "=", processes.PROTOCOL),
]
SORTS = ["", "@id", "createdAt", "stateTimestamp", "state", "assetId", "correlationId", "errorDetail", "type"]


def page(documents, spec):
    return query.select(documents, spec, processes.NEGOTIATION_FIELDS, processes.NEGOTIATION_ALIASES)


async def found(store, spec):
    wanted = query.resolve(spec, processes.NEGOTIATION_FIELDS, processes.NEGOTIATION_ALIASES)
    return await store.read(lambda tx: negotiations.find_page(tx, wanted, document))


@pytest.mark.parametrize("wanted", CRITERIA, ids=str)
async def test_one_criterion_selects_the_same_in_sql_as_in_python(store, many, wanted):
    for descending in (False, True):
        spec = query.Spec(limit=1000, descending=descending, criteria=(wanted,))
        assert await found(store, spec) == page(many, spec)


@pytest.mark.parametrize("sort_field", SORTS)
async def test_every_order_and_every_page_are_the_same_in_sql_as_in_python(store, many, sort_field):
    several = (criterion("type", "=", "CONSUMER"), criterion("errorDetail", "!=", "x"))
    for descending, criteria in itertools.product((False, True), ((), several[:1], several)):
        for offset, limit in ((0, 1000), (0, 7), (5, 7), (55, 50), (100, 5)):
            spec = query.Spec(offset, limit, sort_field, descending, criteria)
            assert await found(store, spec) == page(many, spec), spec


async def test_transfers_are_found_by_their_columns(store):
    for at in range(5):
        own = {"id": f"urn:t:{at}", "counterparty_pid": f"urn:p:{at}", "agreement_id": f"urn:a:{at}"}
        record = replace(TRANSFER, **own, created_at=at, state="STARTED")
        await put(store, transfers, record)
    for field, value in (("contractId", "urn:a:3"), ("@id", "urn:t:3"), ("createdAt", 3)):
        spec = query.Spec(criteria=(criterion(field, "=", value), criterion("state", "=", "STARTED")))
        shown = await store.read(
            lambda tx, spec=spec: transfers.find_page(tx, spec, lambda each, *_: {"@id": each.id})
        )
        assert shown == [{"@id": "urn:t:3"}]


@pytest.mark.parametrize(
    ("criteria", "sort_field"),
    [
        ((criterion("state", "=", "FINALIZED"),), "createdAt"),
        ((criterion("state", "=", "FINALIZED"), criterion("errorDetail", "=", "none has this")), ""),
        ((), "errorDetail"),
    ],
)
async def test_a_page_of_many_rows_keeps_few_in_memory(store, store_kind, criteria, sort_field):
    offer = {"@id": "urn:o", "target": "part", "permission": [{"action": "use", "note": "x" * 2000}]}

    async def fill(tx):
        for at in range(2000):
            own = {"id": f"urn:n:{at}", "state": "FINALIZED", "offer": offer, "created_at": at}
            await negotiations.insert(tx, replace(NEGOTIATION, **own))

    await store.write(fill)
    spec = query.Spec(0, 50, sort_field, True, criteria)
    tracemalloc.start()
    documents = await store.read(
        lambda tx: negotiations.find_page(
            tx, spec, lambda each, *more: {**document(each, *more), "o": each.offer}
        )
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(documents) in {0, 50}
    driver = (
        1_000_000 if store_kind == stores.POSTGRESQL else 0
    )  # PostgreSQL's holds rows that are read ahead
    assert peak < 4_000_000 + driver  # all 2,000 offers, read, are more than 10 MB
