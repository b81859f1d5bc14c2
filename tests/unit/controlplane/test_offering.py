"""Which definitions offer an asset, and how much it takes to find them."""

from comity.controlplane import facts, offering
from comity.db.offers import Asset, ContractDefinition
from comity.db.partners import Partner
from comity.management import query

USE = {"@type": "Set", "permission": [{"action": "use"}]}
PARTNER = Partner(id="did:web:them", name="", address="", keys=[], pinned=False, attributes={}, created_at=0)


def asset(name):
    return Asset(id=name, properties={}, private_properties={}, data_address_sealed=b"", created_at=0)


def definition(name, *criteria):
    listed = [dict(zip(("operandLeft", "operator", "operandRight"), each, strict=True)) for each in criteria]
    return ContractDefinition(
        id=name,
        access_policy_id="use",
        contract_policy_id="use",
        assets_selector=listed,
        private_properties={},
        created_at=0,
    )


def names(definitions, asset_id):
    found = offering.Offerings(definitions, {"use": USE}, PARTNER).of(asset(asset_id), 0)
    return [each.offer_id for each in found]


def test_definitions_that_name_an_asset_stand_among_the_others_in_their_order():
    definitions = [
        definition("all"),
        definition("a", ("id", "=", "a")),
        definition("b", ("@id", "=", "b")),
        definition("like", ("id", "like", "%")),
        definition("a-full", (query.EDC + "id", "=", "a")),
        definition("both", ("id", "=", "a"), ("id", "=", "b")),
        definition("number", ("id", "=", 5)),
        definition("in", ("id", "in", ["a", "5"])),
    ]
    for asset_id, wanted in (("a", [0, 1, 3, 4, 7]), ("b", [0, 2, 3]), ("5", [0, 3, 6, 7])):
        alone = [name for at in wanted for name in names([definitions[at]], asset_id)]
        assert names(definitions, asset_id) == alone
        assert len(alone) == len(wanted)


def test_a_catalog_of_many_packages_asks_each_definition_about_its_own_asset_only(monkeypatch):
    asked = []
    matches = query.matches_all
    monkeypatch.setattr(query, "matches_all", lambda *each: asked.append(each) or matches(*each))
    offerings = offering.Offerings(
        [definition(f"d{at}", ("id", "=", f"a{at}")) for at in range(200)], {"use": USE}, PARTNER
    )
    for at in range(200):
        assert len(offerings.of(asset(f"a{at}"), 0)) == 1
    assert len(asked) == 200


def test_a_long_policy_is_read_each_time_and_not_kept():
    kept = offering._parse.cache_info().currsize
    policy = {**USE, "dct:title": "x" * 100_000}
    assert offering.judge(policy, {}).allowed
    assert offering._parse.cache_info().currsize == kept


def test_of_a_count_a_partner_is_told_how_much_it_has_used_and_of_other_terms_no_fact():
    def constraint(name, value):
        return {"leftOperand": name, "operator": "lteq", "rightOperand": value}

    terms = [constraint("count", "3"), constraint("elapsedTime", "P1D")]
    policy = {"@type": "Set", "permission": [{"action": "use", "constraint": terms}]}
    known = facts.of(PARTNER, 10 * 86_400_000, count=4, since_ms=0)
    assert offering.judge(policy, known).reasons == ("count lteq 3: 3 used already", "elapsedTime lteq P1D")
