"""Partners and what is offered to them."""

import pytest

from adapters.db.rows import AGREEMENT, NEGOTIATION, OFFER, put, replace
from comity import errors
from comity.db import agreements, negotiations, offers, partners

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


async def test_a_partner_that_a_unit_has_seen_is_the_one_of_the_last_change(store):
    async def seen(tx):
        return await partners.find(tx, PARTNER.id)

    async def lost(tx):
        await partners.save(tx, replace(PARTNER, name="lost"))
        assert (await seen(tx)).name == "lost"
        raise errors.ConflictError("no")

    await store.write(lambda tx: partners.save(tx, PARTNER))
    assert await store.write(seen) == await store.read(seen) == PARTNER
    with pytest.raises(errors.ConflictError):
        await store.write(lost)
    assert await store.write(seen) == PARTNER
    changed = replace(PARTNER, name="Beta")
    await store.write(lambda tx: partners.save(tx, changed))
    assert await store.write(seen) == await store.read(seen) == changed
    await store.write(lambda tx: partners.remove(tx, PARTNER.id))
    assert await store.write(seen) is await store.read(seen) is None


ASSET = offers.Asset(
    id="asset",
    properties={"dct:title": "T"},
    private_properties={"x": 1},
    data_address_sealed=b"\x00\x01",
    content_id="02",
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
        {"properties": {}, "private_properties": {}, "data_address_sealed": b"3", "content_id": ""},
    ),
    (POLICY, {"policy": {}, "private_properties": {}}),
    (
        DEFINITION,
        {
            "access_policy_id": "other",
            "contract_policy_id": "other",
            "assets_selector": [],
            "private_properties": {},
            "approval": {"approvers": ["anna"]},
            "written_by": "anna",
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
    assert await store.read(lambda tx: offers.find_some(tx, kind, ["absent", value.id])) == [expected]
    assert await store.read(lambda tx: offers.find_some(tx, kind, [])) == []
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
    assert set(kind.__struct_fields__) - {"named_asset"} == {"id", "created_at", *changes}


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


async def test_definitions_are_found_that_may_select_some_assets(store):
    await put(store, offers, POLICY)

    def naming(name, *wanted):
        selector = [{"operandLeft": "id", "operator": "=", "operandRight": each} for each in wanted]
        return replace(DEFINITION, id=name, assets_selector=selector)

    for each in (naming("a", "part-a"), naming("any"), naming("b", "part-b"), naming("c", "part-c")):
        await put(store, offers, each)
    for ids, wanted in ((["part-c", "part-a"], ["a", "any", "c"]), (["absent"], ["any"]), ([], ["any"])):
        found = await store.read(lambda tx, ids=ids: offers.find_selecting(tx, ids))
        assert [each.id for each in found] == wanted
    await store.write(lambda tx: offers.save(tx, naming("a", "part-b")))
    found = await store.read(lambda tx: offers.find_selecting(tx, ["part-a"]))
    assert [each.id for each in found] == ["any"]
