"""Agreements: verbatim, one a negotiation, in force when finalized."""

import pytest

from adapters.db.rows import AGREEMENT, NEGOTIATION, put, replace
from comity import errors
from comity.db import agreements, negotiations


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
    assert await store.read(lambda tx: agreements.find_by_negotiation(tx, "urn:x")) is None
    for texts, party, named in (
        (["permission"], "", 1),
        (["permission"], "did:web:x", 0),
        (["urn:y"], "", 0),
    ):
        holding = await store.read(lambda tx, t=texts, p=party: agreements.find_naming(tx, t, p))
        assert len(holding) == named
    with pytest.raises(errors.NotFoundError, match="urn:x"):
        await store.read(lambda tx: agreements.load(tx, "urn:x"))


async def test_a_negotiation_has_one_agreement_and_an_agreement_a_negotiation(store):
    await put(store, negotiations, NEGOTIATION)
    await put(store, agreements, AGREEMENT)
    with pytest.raises(errors.DatabaseError, match=r"(?i)unique.*(negotiation_id|agreement_pkey)"):
        await put(store, agreements, replace(AGREEMENT, id="urn:a2"))
    with pytest.raises(errors.DatabaseError, match=r"(?i)foreign key"):
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
    for role, uses in (("consumer", 0), ("provider", 2)):
        found = await store.read(
            lambda tx, role=role: agreements.find_of_party(tx, "urn:a", "did:web:beta", role)
        )
        assert found.uses == uses
