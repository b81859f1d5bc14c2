"""Catalog requests: what the partner is asked, and what is cut here."""

import pytest

from comity.errors import InvalidInputError
from comity.management import catalog

PARTY = {"counterPartyId": "did:web:them", "protocol": "dataspace-protocol-http:2025-1"}
CRITERION = {"operandLeft": "id", "operator": "=", "operandRight": "b"}
DATASETS = [{"@id": "b", "n": 2}, {"@id": "a", "n": 3}, {"@id": "c", "n": 1}]


def cut(spec, document):
    return catalog.cut(document, catalog.decode({**PARTY, "querySpec": spec}).spec)


@pytest.mark.parametrize("spec", [None, {}])
def test_without_a_query_it_is_the_whole_catalog(spec):
    form = catalog.decode({**PARTY, "querySpec": spec, "additionalScopes": None})
    assert (form.counterparty_id, form.address, form.filter) == ("did:web:them", "", None)
    document = {"dataset": DATASETS * 1000}
    assert catalog.cut(document, form.spec) is document


def test_the_partner_filters():
    form = catalog.decode({**PARTY, "querySpec": {"filterExpression": [CRITERION], "limit": 5}})
    assert form.filter == {"@type": "QuerySpec", "filterExpression": [{"@type": "Criterion", **CRITERION}]}
    assert catalog.decode({**PARTY, "querySpec": {"limit": 5}}).filter is None


def test_a_filter_alone_cuts_nothing():
    assert len(cut({"filterExpression": [CRITERION]}, {"dataset": DATASETS * 1000})["dataset"]) == 3000


def test_the_query_that_clients_always_send_is_taken():
    spec = {"limit": 2, "offset": 0, "sortField": "createdAt", "sortOrder": "DESC", "filterExpression": []}
    assert [each["@id"] for each in cut(spec, {"dataset": DATASETS})["dataset"]] == ["c", "a"]


def test_a_catalog_is_cut_in_order_of_a_property():
    document = {"@id": "k", "dcat:dataset": DATASETS}
    found = cut({"sortField": "n", "offset": 1, "limit": 1}, document)
    assert found == {"@id": "k", "dcat:dataset": [DATASETS[0]]}
    assert document["dcat:dataset"] == DATASETS


def test_one_dataset_alone_and_none_are_cut_too():
    assert cut({"limit": 1}, {"dataset": DATASETS[0]}) == {"dataset": [DATASETS[0]]}
    assert cut({"limit": 1}, {"@id": "k"}) == {"@id": "k", "dataset": []}


def test_a_catalog_without_datasets_has_an_empty_list():
    assert catalog.cut({"@id": "k"}, None) == {"@id": "k", "dataset": []}
    assert catalog.cut({"@id": "k", "dcat:dataset": []}, None) == {"@id": "k", "dcat:dataset": []}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"counterPartyId": None}, "$.counterPartyId"),
        ({"protocol": "http"}, "$.protocol"),
        ({"additionalScopes": ["a"]}, "$.additionalScopes"),
        ({"querySpec": {"limit": 0}}, "$.querySpec.limit"),
        ({"querySpec": {"filterExpression": [{}]}}, "$.querySpec.filterExpression[0].operandLeft"),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_its_place(changes, path):
    with pytest.raises(InvalidInputError) as caught:
        catalog.decode({**PARTY, **changes})
    assert caught.value.path == path


def test_a_dataset_is_named():
    assert catalog.decode_dataset({**PARTY, "@id": "a"}).dataset_id == "a"
    with pytest.raises(InvalidInputError) as caught:
        catalog.decode_dataset(PARTY)
    assert caught.value.path == "$.@id"
