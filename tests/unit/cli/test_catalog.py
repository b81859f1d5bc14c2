import json

import pytest

PACKAGE = {
    "@id": "urn:comity:package:0123456789abcdef0123456789abcdef",
    "dct:title": "Turbine housing",
    "dcat:byteSize": "23100000",
    "comity:files": "4",
    "comity:manifestSha256": "ab" * 32,
    "hasPolicy": [
        {
            "@id": "urn:comity:offer:a:b:c",
            "@type": "Offer",
            "permission": [
                {
                    "action": "use",
                    "constraint": [
                        {
                            "leftOperand": "recipient",
                            "operator": "eq",
                            "rightOperand": "did:web:beta.example",
                        },
                        {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-12-31"},
                    ],
                }
            ],
        },
        {"@id": "urn:comity:offer:a:b:d", "@type": "Offer", "permission": [{"action": "use"}]},
    ],
}
MANUAL = {"@id": "manual-de", "hasPolicy": {"@id": "o", "permission": [{"action": "use"}]}}
CATALOG = {"@type": "Catalog", "dataset": [PACKAGE, MANUAL]}


@pytest.fixture
def catalog(api, alpha):
    api.says("POST", "catalog/request", CATALOG)


def test_catalog_is_a_table_with_the_terms_in_words(comity, api, catalog):
    done = comity("catalog", "alpha")
    assert done.out == (
        "Asset      Title               Size  Terms\n"
        "01234567   Turbine housing  23.1 MB  use by you, until 2027-12-31 | use, no\n"
        "                                     conditions\n"
        "manual-de                            use, no conditions\n"
    )
    assert api.bodies("POST", "catalog/request")[0]["counterPartyId"] == "did:web:alpha.example"


def test_catalog_for_programs_is_the_whole_answer(comity, catalog):
    assert json.loads(comity("catalog", "alpha", "--json").out) == CATALOG


@pytest.mark.parametrize("asset", ["0123", PACKAGE["@id"], "turbine housing", "turb"])
def test_one_asset_is_shown_with_every_offer(comity, catalog, asset):
    assert comity("catalog", "alpha", asset).out == (
        f"asset     {PACKAGE['@id']}\n"
        "title     Turbine housing\n"
        "files     4\n"
        "size      23.1 MB\n"
        f"manifest  {'ab' * 32}\n"
        "offer 1   use by you, until 2027-12-31\n"
        "          provider-enforced: recipient eq did:web:beta.example; dateTime lteq 2027-12-31\n"
        "offer 2   use, no conditions\n"
    )


def test_asset_that_is_not_offered_is_not_found(comity, catalog):
    done = comity("catalog", "alpha", "engine")
    assert done.code == 5
    assert done.err == (
        "error: there is no asset engine\nhint: see what it offers you with: comity catalog 'Alpha Works'\n"
    )


def test_empty_catalog_says_so(comity, api, alpha):
    api.says("POST", "catalog/request", {"@type": "Catalog"})
    assert "Alpha Works offers you nothing now" in comity("catalog", "alpha").out


def test_partner_that_cannot_be_reached_is_named(comity, api, alpha):
    api.fails("POST", "catalog/request", 502, "delivery-transient", "alpha.example cannot be reached")
    done = comity("catalog", "alpha")
    assert done.code == 1
    assert done.err == (
        "error: alpha.example cannot be reached\nhint: try again later; is the partner's connector running?\n"
    )
