"""Every module's rows: written, read back, changed by compare-and-set, and refused where the table says so."""

import msgspec
import pytest

from comity import errors
from comity.db import (
    agreements,
    exchanges,
    inbox,
    negotiations,
    offers,
    outbox,
    partners,
    pulls,
    token_uses,
    transfers,
)
from comity.db.seal import Seal
from comity.dsp.negotiation import Agreement, Negotiation
from comity.dsp.transfer import Transfer

OFFER = {"@id": "urn:o", "target": "asset", "permission": [{"action": "use"}], "dct:title": "Größe \u0000 😀"}
NEGOTIATION = Negotiation(
    id="urn:n",
    role="consumer",
    counterparty_id="did:web:beta",
    counterparty_address="https://beta.example/dsp",
    counterparty_pid=None,
    state=None,
    version=0,
    asset_id="asset",
    offer=OFFER,
    offered_by="provider",
    created_at=1_700_000_000_001,
    updated_at=1_700_000_000_002,
)
TRANSFER = Transfer(
    id="urn:t",
    role="provider",
    counterparty_id="did:web:beta",
    counterparty_address="https://beta.example/dsp",
    counterparty_pid="urn:theirs",
    state="REQUESTED",
    version=0,
    agreement_id="urn:a",
    asset_id="asset",
    format="HttpData-PULL",
    created_at=1,
    updated_at=2,
)
AGREEMENT = Agreement(
    id="urn:a",
    negotiation_id="urn:n",
    role="consumer",
    counterparty_id="did:web:beta",
    provider_id="did:web:beta",
    consumer_id="did:web:alpha",
    asset_id="asset",
    document={"@id": "urn:a", "permission": [{"z": 1, "a": 2}]},
    message_sha256="00" * 32,
    created_at=5,
)
ROW = outbox.Outgoing(
    kind="negotiation",
    process_id="urn:n",
    counterparty_id="did:web:beta",
    url="https://beta.example/dsp/negotiations/request",
    message="ContractRequestMessage",
    message_id="urn:m",
    body=b"{}",
    before=None,
    leads_to="REQUESTED",
    due_at=10,
    created_at=9,
)
replace = msgspec.structs.replace


async def put(store, module, *values):
    async def unit(tx):
        for value in values:
            await module.insert(tx, value)

    await store.write(unit)


RECORDS = [
    (
        negotiations,
        NEGOTIATION,
        {
            "counterparty_pid": "urn:theirs",
            "state": "AGREED",
            "offer": {"@id": "urn:o2"},
            "offered_by": "consumer",
            "agreement_id": "urn:a",
            "last_received": b"\x00\xff",
            "error": "why",
            "updated_at": 99,
        },
    ),
    (
        transfers,
        TRANSFER,
        {
            "counterparty_pid": "urn:other",
            "state": "STARTED",
            "token_sha256": b"\x00" * 32,
            "data_address_sealed": b"sealed",
            "last_received": b"\x01",
            "error": "why",
            "updated_at": 99,
        },
    ),
]


@pytest.mark.parametrize(("module", "record", "changes"), RECORDS)
async def test_a_record_is_read_back_and_changed_as_a_whole(store, module, record, changes):
    await put(store, module, record)
    assert await store.read(lambda tx: module.load(tx, record.id)) == record
    changed = replace(record, **changes)
    saved = await store.write(lambda tx: module.save(tx, changed))
    assert saved == replace(changed, version=1)
    assert await store.read(lambda tx: module.find(tx, record.id)) == saved
    fixed = {"id", "role", "counterparty_id", "counterparty_address", "version", "asset_id", "created_at"}
    fixed |= {"agreement_id", "format"} if module is transfers else set()
    assert set(record.__struct_fields__) == set(changes) | fixed


@pytest.mark.parametrize(("module", "record", "changes"), RECORDS)
async def test_of_two_changes_of_one_version_the_second_is_refused(store, module, record, changes):
    await put(store, module, record)
    first = await store.write(lambda tx: module.save(tx, replace(record, state="TERMINATED")))
    with pytest.raises(errors.ConflictError, match=f"{record.id} was changed by somebody else"):
        await store.write(lambda tx: module.save(tx, replace(record, **changes)))
    assert await store.read(lambda tx: module.load(tx, record.id)) == first


@pytest.mark.parametrize(("module", "record", "_changes"), RECORDS)
async def test_a_record_is_found_by_the_partners_pid_and_its_role_only(store, module, record, _changes):
    record = replace(record, counterparty_pid="urn:theirs")
    other = "provider" if record.role == "consumer" else "consumer"
    # one pid may name one process of each role and of each partner
    await put(store, module, record, replace(record, id="urn:2", role=other))
    await put(store, module, replace(record, id="urn:3", counterparty_id="did:web:gamma"))

    async def found(party, role, pid="urn:theirs"):
        record = await store.read(lambda tx: module.find_by_party(tx, party, role, pid))
        return record.id if record else None

    assert await found("did:web:beta", record.role) == record.id
    assert await found("did:web:beta", other) == "urn:2"
    assert await found("did:web:gamma", record.role) == "urn:3"
    assert await found("did:web:BETA", record.role) is None
    assert await found("did:web:beta", record.role, "urn:x") is None
    with pytest.raises(errors.DatabaseError, match="UNIQUE"):
        await put(store, module, replace(record, id="urn:4"))


@pytest.mark.parametrize(("module", "record", "_changes"), RECORDS)
async def test_records_come_oldest_first_and_a_missing_one_is_not_found(store, module, record, _changes):
    ids = ["urn:b", "urn:a", "urn:c"]
    pids = {"counterparty_pid": None}
    await put(
        store, module, *(replace(record, id=each, created_at=ids.index(each), **pids) for each in sorted(ids))
    )
    assert [each.id for each in await store.read(module.find_all)] == ids
    assert await store.read(lambda tx: module.find(tx, "urn:x")) is None
    with pytest.raises(errors.NotFoundError, match="urn:x"):
        await store.read(lambda tx: module.load(tx, "urn:x"))


@pytest.mark.parametrize(("module", "record", "_changes"), RECORDS)
async def test_a_role_that_is_none_is_refused_by_the_table(store, module, record, _changes):
    with pytest.raises(errors.DatabaseError, match="CHECK"):
        await put(store, module, replace(record, role="broker"))


async def test_transfers_are_found_by_their_agreement(store):
    await put(store, transfers, TRANSFER, replace(TRANSFER, id="urn:t2", counterparty_pid="x", created_at=0))
    await put(store, transfers, replace(TRANSFER, id="urn:t3", counterparty_pid="y", agreement_id="urn:b"))
    found = await store.read(lambda tx: transfers.find_by_agreement(tx, "urn:a"))
    assert [each.id for each in found] == ["urn:t2", "urn:t"]


async def test_an_agreement_is_kept_verbatim_and_comes_into_force(store):
    await put(store, negotiations, NEGOTIATION)
    await put(store, agreements, AGREEMENT)
    assert await store.read(lambda tx: agreements.load(tx, "urn:a")) == AGREEMENT
    assert list(AGREEMENT.document["permission"][0]) == ["z", "a"]
    assert await store.read(lambda tx: agreements.find_by_asset(tx, "did:web:beta", "asset")) == []
    await store.write(lambda tx: agreements.finalize(tx, "urn:n"))
    found = await store.read(lambda tx: agreements.find_by_negotiation(tx, "urn:n"))
    assert found == replace(AGREEMENT, finalized=True)
    assert await store.read(lambda tx: agreements.find_by_asset(tx, "did:web:beta", "asset")) == [found]
    assert await store.read(lambda tx: agreements.find_by_asset(tx, "did:web:gamma", "asset")) == []
    assert await store.read(agreements.find_all) == [found]
    assert await store.read(lambda tx: agreements.find_by_negotiation(tx, "urn:x")) is None
    with pytest.raises(errors.NotFoundError, match="urn:x"):
        await store.read(lambda tx: agreements.load(tx, "urn:x"))


async def test_a_negotiation_has_one_agreement_and_an_agreement_a_negotiation(store):
    await put(store, negotiations, NEGOTIATION)
    await put(store, agreements, AGREEMENT)
    with pytest.raises(errors.DatabaseError, match=r"UNIQUE.*negotiation_id"):
        await put(store, agreements, replace(AGREEMENT, id="urn:a2"))
    with pytest.raises(errors.DatabaseError, match="FOREIGN KEY"):
        await put(store, agreements, replace(AGREEMENT, id="urn:a3", negotiation_id="urn:none"))


async def test_the_same_agreement_id_of_two_partners_is_told_apart(store):
    other = {"counterparty_id": "did:web:gamma"}
    await put(store, negotiations, NEGOTIATION, replace(NEGOTIATION, id="urn:n2", **other))
    await put(store, agreements, AGREEMENT, replace(AGREEMENT, negotiation_id="urn:n2", **other))

    async def unit(tx):
        return (
            (await agreements.find_of_party(tx, "urn:a", "did:web:beta", "consumer")).negotiation_id,
            (await agreements.find_of_party(tx, "urn:a", "did:web:gamma", "consumer")).negotiation_id,
            await agreements.find_of_party(tx, "urn:a", "did:web:beta", "provider"),
            await agreements.exists(tx, "urn:a", "did:web:gamma"),
            await agreements.exists(tx, "urn:a", "did:web:delta"),
        )

    assert await store.read(unit) == ("urn:n", "urn:n2", None, True, False)
    with pytest.raises(errors.ConflictError, match="used by 2 partners"):
        await store.read(lambda tx: agreements.load(tx, "urn:a"))


async def test_uses_are_counted_where_we_provide(store):
    await put(store, negotiations, NEGOTIATION, replace(NEGOTIATION, id="urn:n2", role="provider"))
    await put(store, agreements, AGREEMENT)
    await put(store, agreements, replace(AGREEMENT, negotiation_id="urn:n2", role="provider"))
    for _ in range(2):
        await store.write(lambda tx: agreements.count_use(tx, "urn:a", "did:web:beta"))
    await store.write(lambda tx: agreements.count_use(tx, "urn:a", "did:web:gamma"))
    assert {each.role: each.uses for each in await store.read(agreements.find_all)} == {
        "consumer": 0,
        "provider": 2,
    }


async def test_a_message_to_send_is_read_back_and_announced(store):
    told = []
    store.subscribe(told.extend)
    full = replace(
        ROW,
        sealed=True,
        before="OFFERED",
        implied=True,
        after_id=7,
        attempts=3,
        outcome_unknown=True,
        last_error="no answer",
    )
    first = await store.write(lambda tx: outbox.add(tx, ROW))
    second = await store.write(lambda tx: outbox.add(tx, full))
    assert (first, second) == (replace(ROW, id=1), replace(full, id=2))
    assert told == [outbox.Queued(first), outbox.Queued(second)]
    assert await store.read(lambda tx: outbox.find(tx, 2)) == second
    assert await store.read(lambda tx: outbox.find_of_process(tx, "urn:n")) == [first, second]
    assert await store.read(lambda tx: outbox.find_of_process(tx, "urn:x")) == []


async def test_ids_of_messages_are_never_used_again(store):
    async def one_after_the_other(tx):
        ids = []
        for _ in range(3):
            added = await outbox.add(tx, ROW)
            ids.append(added.id)
            assert await outbox.remove(tx, added) == added
        return ids

    assert await store.write(one_after_the_other) == [1, 2, 3]
    assert (await store.write(lambda tx: outbox.add(tx, ROW))).id == 4


async def test_a_removed_message_is_gone_and_those_that_waited_are_announced(store):
    first = await store.write(lambda tx: outbox.add(tx, ROW))
    waiting = [await store.write(lambda tx: outbox.add(tx, replace(ROW, after_id=1))) for _ in range(2)]
    told = []
    store.subscribe(told.extend)
    assert await store.write(lambda tx: outbox.remove(tx, first)) == first
    freed = [replace(each, after_id=None) for each in waiting]
    assert told == [outbox.Queued(each) for each in freed]
    assert await store.read(outbox.find_open) == freed
    assert await store.write(lambda tx: outbox.remove(tx, first)) is None
    assert len(told) == 2


async def test_open_messages_are_read_in_pages(store):
    for _ in range(5):
        await store.write(lambda tx: outbox.add(tx, ROW))
    pages = [
        await store.read(lambda tx, at=at: outbox.find_open(tx, after_id=at, limit=2)) for at in (0, 2, 4, 5)
    ]
    assert [[each.id for each in page] for page in pages] == [[1, 2], [3, 4], [5], []]


async def test_failed_attempts_are_counted_and_an_unknown_outcome_stays_unknown(store):
    await store.write(lambda tx: outbox.add(tx, ROW))
    for number, unknown in enumerate([False, True, False]):
        await store.write(
            lambda tx, n=number, u=unknown: outbox.postpone(
                tx, 1, due_at=n, error="x" * 600, outcome_unknown=u
            )
        )
    found = await store.read(lambda tx: outbox.find(tx, 1))
    assert (found.attempts, found.due_at, found.outcome_unknown, found.last_error) == (3, 2, True, "x" * 500)


async def test_intents_are_what_is_on_its_way_and_not_known_to_have_arrived(store):
    for process_id, leads_to, kind in (
        ("a", "AGREED", "negotiation"),
        ("b", "X", "negotiation"),
        ("c", "Y", "transfer"),
    ):
        await store.write(
            lambda tx, p=process_id, to=leads_to, k=kind: outbox.add(
                tx, replace(ROW, process_id=p, leads_to=to, kind=k, last_error="e")
            )
        )
    await store.write(lambda tx: outbox.imply(tx, 2))
    assert (await store.read(lambda tx: outbox.find(tx, 2))).implied
    assert await store.read(lambda tx: outbox.find_intents(tx, "negotiation")) == [("a", "AGREED", "e")]


async def test_a_received_message_keeps_its_first_answer(store):
    async def add(digest, state, message_id="urn:m"):
        await store.write(
            lambda tx: inbox.add(tx, "urn:n", "did:web:beta", message_id, digest=digest, answer_state=state)
        )

    await add(b"1", "AGREED")
    await add(b"2", "FINALIZED")
    await add(b"3", "VERIFIED", "urn:m2")

    async def found(*key):
        return await store.read(lambda tx: inbox.find(tx, *key))

    assert await found("urn:n", "did:web:beta", "urn:m") == (b"1", "AGREED")
    assert await found("urn:n", "did:web:beta", "urn:m2") == (b"3", "VERIFIED")
    assert await found("urn:n", "did:web:gamma", "urn:m") is None
    assert await found("urn:x", "did:web:beta", "urn:m") is None


async def test_a_token_counts_for_one_request_and_its_repeats(store):
    async def use(issuer, jti, request, expires=100):
        return await store.write(
            lambda tx: token_uses.use(tx, issuer, jti, request=request, expires_at_s=expires)
        )

    assert await use("a", "1", b"x")
    assert await use("a", "1", b"x")
    assert not await use("a", "1", b"y")
    assert await use("b", "1", b"y")
    assert await use("a", "2", b"y", 200)
    assert await store.write(lambda tx: token_uses.purge(tx, before_s=200)) == 2
    assert await use("a", "1", b"y")
    assert not await use("a", "2", b"x")


PARTNER = partners.Partner(
    id="did:web:beta",
    name="Beta",
    address="https://beta.example/dsp",
    keys=[{"kty": "EC", "kid": "did:web:beta#1"}],
    pinned=True,
    attributes={"purpose": ["maintenance"], "spatial": []},
    created_at=5,
)


async def test_a_partner_is_stored_changed_listed_and_removed(store):
    told = []
    store.subscribe(told.extend)
    await store.write(lambda tx: partners.save(tx, PARTNER))
    assert await store.read(lambda tx: partners.load(tx, PARTNER.id)) == PARTNER
    changed = replace(PARTNER, name="B", address="x", keys=[], pinned=False, attributes={}, created_at=99)
    await store.write(lambda tx: partners.save(tx, changed))
    older = replace(PARTNER, id="did:web:older", created_at=1)
    await store.write(lambda tx: partners.save(tx, older))
    assert await store.read(partners.find_all) == [older, replace(changed, created_at=5)]
    assert await store.read(lambda tx: partners.find(tx, "did:web:BETA")) is None
    await store.write(lambda tx: partners.remove(tx, PARTNER.id))
    assert told == [partners.PartnersChanged()] * 4
    for work in (partners.load, partners.remove):
        with pytest.raises(errors.NotFoundError, match="did:web:beta is not a partner"):
            await store.write(lambda tx, work=work: work(tx, PARTNER.id))
    assert len(told) == 4


ASSET = offers.Asset(
    id="asset",
    properties={"dct:title": "T"},
    private_properties={"x": 1},
    data_address_sealed=b"\x00\x01",
    content_sealed=b"\x02",
    created_at=5,
)
POLICY = offers.PolicyDefinition(id="policy", policy=OFFER, private_properties={"x": [1]}, created_at=5)
DEFINITION = offers.ContractDefinition(
    id="definition",
    access_policy_id="policy",
    contract_policy_id="policy",
    assets_selector=[{"operandLeft": "id"}],
    private_properties={"x": 1},
    created_at=5,
)
OFFERED = [
    (
        ASSET,
        {"properties": {}, "private_properties": {}, "data_address_sealed": b"3", "content_sealed": None},
    ),
    (POLICY, {"policy": {}, "private_properties": {}}),
    (
        DEFINITION,
        {
            "access_policy_id": "other",
            "contract_policy_id": "other",
            "assets_selector": [],
            "private_properties": {},
        },
    ),
]


@pytest.mark.parametrize(("value", "changes"), OFFERED)
async def test_what_is_offered_is_stored_changed_and_removed(store, value, changes):
    kind = type(value)
    await put(store, offers, replace(POLICY, id="other"))
    if kind is offers.ContractDefinition:
        await put(store, offers, POLICY)
    told = []
    store.subscribe(told.extend)
    await put(store, offers, value)
    assert await store.read(lambda tx: offers.load(tx, kind, value.id)) == value
    with pytest.raises(errors.ConflictError, match=f"{value.id} exists already"):
        await put(store, offers, value)
    changed = replace(value, **changes, created_at=77)
    await store.write(lambda tx: offers.save(tx, changed))
    expected = replace(changed, created_at=5)
    assert await store.read(lambda tx: offers.find(tx, kind, value.id)) == expected
    assert expected in await store.read(lambda tx: offers.find_all(tx, kind))
    await store.write(lambda tx: offers.put(tx, value))
    assert await store.read(lambda tx: offers.find(tx, kind, value.id)) == value
    await store.write(lambda tx: offers.remove(tx, kind, value.id))
    await store.write(lambda tx: offers.put(tx, value))
    await store.write(lambda tx: offers.remove(tx, kind, value.id))
    assert told == [offers.OffersChanged()] * 6
    for work in (
        lambda tx: offers.load(tx, kind, value.id),
        lambda tx: offers.save(tx, value),
        lambda tx: offers.remove(tx, kind, value.id),
    ):
        with pytest.raises(errors.NotFoundError, match=f"there is no .* {value.id}"):
            await store.write(work)
    assert set(kind.__struct_fields__) == {"id", "created_at", *changes}


@pytest.mark.parametrize("field", ["access_policy_id", "contract_policy_id"])
async def test_a_contract_definition_needs_its_policies(store, field):
    await put(store, offers, POLICY)
    missing = replace(DEFINITION, **{field: "none"})
    with pytest.raises(errors.InvalidInputError, match="no policy definition none") as caught:
        await put(store, offers, missing)
    assert caught.value.path == {"access_policy_id": "$.accessPolicyId"}.get(field, "$.contractPolicyId")
    await put(store, offers, DEFINITION)
    with pytest.raises(errors.InvalidInputError):
        await store.write(lambda tx: offers.save(tx, missing))


@pytest.mark.parametrize("field", ["access_policy_id", "contract_policy_id"])
async def test_a_policy_in_use_is_not_removed(store, field):
    await put(store, offers, POLICY, replace(POLICY, id="other"), replace(DEFINITION, **{field: "other"}))
    for name in ("policy", "other"):
        with pytest.raises(errors.ConflictError, match=f"{name} is used by contract definition definition"):
            await store.write(lambda tx, name=name: offers.remove(tx, offers.PolicyDefinition, name))


async def test_an_asset_under_an_agreement_is_not_removed(store):
    await put(store, offers, ASSET)
    await put(store, negotiations, replace(NEGOTIATION, role="provider"))
    await put(store, agreements, replace(AGREEMENT, role="provider"))
    await store.write(lambda tx: agreements.finalize(tx, "urn:n"))
    with pytest.raises(errors.ConflictError, match="asset is under an agreement"):
        await store.write(lambda tx: offers.remove(tx, offers.Asset, "asset"))
    assert await store.read(lambda tx: offers.find(tx, offers.Asset, "asset")) == ASSET


async def test_assets_are_read_in_pages_without_a_gap(store):
    assets = [replace(ASSET, id=f"{at % 3}{at}", created_at=at // 2) for at in range(9)]
    await put(store, offers, *assets)
    seen, place = [], (-1, "")
    while page := await store.read(lambda tx, place=place: offers.find_assets_after(tx, place, limit=2)):
        seen += page
        place = (page[-1].created_at, page[-1].id)
    assert seen == sorted(assets, key=lambda each: (each.created_at, each.id))


async def test_an_exchange_is_stored_and_found_by_what_it_waits_for(store):
    new = exchanges.Exchange(
        id="urn:e",
        counterparty_id="did:web:beta",
        asset_id="asset",
        destination="/in",
        manifest_sha256="ab",
        created_at=5,
    )
    await store.write(lambda tx: exchanges.save(tx, new))
    assert await store.read(lambda tx: exchanges.load(tx, "urn:e")) == new
    known = replace(new, negotiation_id="urn:n", agreement_id="urn:a", transfer_id="urn:t", error="why")
    await store.write(lambda tx: exchanges.save(tx, known))
    assert await store.read(lambda tx: exchanges.find_by_negotiation(tx, "urn:n")) == known
    assert await store.read(lambda tx: exchanges.find_by_transfer(tx, "urn:t")) == known
    assert await store.read(lambda tx: exchanges.find_by_transfer(tx, "urn:x")) is None
    assert await store.read(lambda tx: exchanges.find_by_negotiation(tx, "urn:x")) is None
    await store.write(lambda tx: exchanges.save(tx, replace(new, id="urn:d", created_at=1)))
    assert [each.id for each in await store.read(exchanges.find_all)] == ["urn:d", "urn:e"]
    with pytest.raises(errors.NotFoundError, match="urn:x"):
        await store.read(lambda tx: exchanges.load(tx, "urn:x"))


async def test_a_pull_is_stored_and_open_until_it_is_done_or_has_failed(store):
    await put(store, transfers, TRANSFER, replace(TRANSFER, id="urn:t2", counterparty_pid="x"))
    new = pulls.Pull(transfer_id="urn:t", destination="/in", updated_at=5)
    second = pulls.Pull(transfer_id="urn:t2", destination="/in", updated_at=1)
    for each in (new, second):
        await store.write(lambda tx, each=each: pulls.save(tx, each))
    assert await store.read(lambda tx: pulls.find(tx, "urn:t")) == new
    assert await store.read(pulls.find_open) == [second, new]
    running = replace(
        new,
        state=pulls.RUNNING,
        files_done=1,
        files_total=2,
        bytes_done=3,
        bytes_total=5 * 2**40,
        error="why",
        updated_at=9,
    )
    await store.write(lambda tx: pulls.save(tx, running))
    assert await store.read(lambda tx: pulls.find(tx, "urn:t")) == running
    for state in (pulls.DONE, pulls.FAILED):
        await store.write(lambda tx, state=state: pulls.save(tx, replace(running, state=state)))
        assert await store.read(pulls.find_open) == [second]
    assert await store.read(lambda tx: pulls.find(tx, "urn:x")) is None
    with pytest.raises(errors.DatabaseError, match="CHECK"):
        await store.write(lambda tx: pulls.save(tx, replace(running, state="x")))
    with pytest.raises(errors.DatabaseError, match="FOREIGN KEY"):
        await store.write(lambda tx: pulls.save(tx, replace(new, transfer_id="urn:none")))


def test_a_sealed_value_is_opened_by_its_key_for_its_purpose_only():
    seal = Seal(b"k" * 32)
    sealed = seal.close(b"secret", "data-address:urn:t")
    assert b"secret" not in sealed
    assert seal.close(b"secret", "data-address:urn:t") != sealed
    assert seal.open(sealed, "data-address:urn:t") == b"secret"
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for opener, value, purpose in (
        (seal, sealed, "data-address:urn:other"),
        (Seal(b"l" * 32), sealed, "data-address:urn:t"),
        (seal, altered, "data-address:urn:t"),
        (seal, sealed[:20], "data-address:urn:t"),
        (seal, sealed[:12], "data-address:urn:t"),
        (seal, sealed[:5], "data-address:urn:t"),
        (seal, b"", "data-address:urn:t"),
    ):
        with pytest.raises(errors.DatabaseError, match="cannot be opened"):
            opener.open(value, purpose)
