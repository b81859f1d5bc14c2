"""Which of many: criteria and query specs."""

import pytest

from comity.errors import InvalidInputError
from comity.management import query

EDC = query.EDC
DOCUMENTS = [
    {"@id": "a", "state": "FINALIZED", "createdAt": 10, "assetId": "x"},
    {"@id": "b", "state": "REQUESTED", "createdAt": 30, "assetId": "x"},
    {"@id": "c", "state": "FINALIZED", "createdAt": 30, "assetId": "y"},
    {"@id": "d", "state": "FINALIZED", "createdAt": 20, "assetId": "z"},
]
FIELDS = ("state", "createdAt", "assetId")


def criterion(left, operator, right):
    return {"operandLeft": left, "operator": operator, "operandRight": right}


def found(*criteria, **more):
    spec = query.parse({"filterExpression": list(criteria), **more})
    return [each["@id"] for each in query.select(DOCUMENTS, spec, FIELDS, {"asset": "assetId"})]


def test_no_body_is_the_first_page_of_fifty_in_the_order_of_creation():
    for body in (None, {}, {"@type": "QuerySpec", "limit": None, "filterExpression": {}}):
        assert query.parse(body) == query.Spec(0, 50, "", False, ())
    assert found() == ["a", "b", "c", "d"]


def test_every_criterion_has_to_match():
    assert found(criterion("state", "=", "FINALIZED"), criterion("asset", "=", "x")) == ["a"]


def test_offset_and_limit_cut_after_filter_and_order():
    assert found(offset=1, limit=2, sortField="createdAt") == ["d", "b"]
    assert found(criterion("state", "=", "FINALIZED"), offset=1, limit=5) == ["c", "d"]
    assert found(offset=4) == []


def test_of_equals_the_newest_comes_first_in_descending_order():
    assert found(sortField="createdAt", sortOrder="DESC") == ["c", "b", "d", "a"]
    assert found(sortField="createdAt", sortOrder="ASC") == ["a", "d", "b", "c"]
    assert found(sortOrder="DESC") == ["d", "c", "b", "a"]


@pytest.mark.parametrize("left", ["id", "@id", EDC + "id", "edc:id"])
def test_the_id_has_its_names_everywhere(left):
    assert found(criterion(left, "=", "b")) == ["b"]


@pytest.mark.parametrize("left", ["statee", "properties.state", "@type", "'state'.'@id'"])
def test_a_field_that_no_document_has_is_refused_with_its_place(left):
    with pytest.raises(InvalidInputError, match="no filter for") as caught:
        found(criterion("id", "=", "a"), criterion(left, "=", "b"))
    assert caught.value.path == "$.filterExpression[1].operandLeft"


def test_an_order_that_no_document_has_is_refused():
    with pytest.raises(InvalidInputError, match="no order by") as caught:
        found(sortField="nothing")
    assert caught.value.path == "$.sortField"


@pytest.mark.parametrize("value", [False, "", 0, "x", 1, True])
def test_a_selector_that_is_no_list_does_not_select_everything(value):
    with pytest.raises(InvalidInputError):
        query.read_criteria(value, path="$.assetsSelector")


@pytest.mark.parametrize("value", [None, {}, []])
def test_an_empty_selector_selects_everything(value):
    assert query.read_criteria(value, path="$") == []
    assert query.matches_all([], {"@id": "a"})


def test_one_criterion_alone_is_a_list_of_one():
    (one,) = query.read_criteria(
        {EDC + "operandLeft": "id", "edc:operator": "=", "operandRight": 1, "@type": "Criterion"}, path="$"
    )
    assert one == criterion("id", "=", 1)


def test_a_hundred_criteria_are_the_most():
    query.read_criteria([criterion("a", "=", 1)] * 100, path="$")
    with pytest.raises(InvalidInputError, match="at most 100"):
        query.read_criteria([criterion("a", "=", 1)] * 101, path="$")


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        (7, ""),
        (None, ""),
        (criterion(None, "=", 1), ".operandLeft"),
        (criterion("", "=", 1), ".operandLeft"),
        (criterion("x" * 2001, "=", 1), ".operandLeft"),
        (criterion(["a"], "=", 1), ".operandLeft"),
        (criterion("a", "~", 1), ".operator"),
        (criterion("a", ["="], 1), ".operator"),
        (criterion("a", {}, 1), ".operator"),
        (criterion("a", None, 1), ".operator"),
        (criterion("a", "=", None), ".operandRight"),
        (criterion("a", "in", "x"), ".operandRight"),
        (criterion("a", "not in", {}), ".operandRight"),
        (criterion("a", "=", ["x"]), ".operandRight"),
        (criterion("a", "like", "%" * 2001), ".operandRight"),
    ],
)
def test_a_criterion_that_is_none_is_refused_with_its_place(bad, place):
    with pytest.raises(InvalidInputError) as caught:
        query.read_criteria([criterion("a", "=", 1), bad], path="$.filterExpression")
    assert caught.value.path == f"$.filterExpression[1]{place}"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"limit": 0}, "$.q.limit"),
        ({"limit": 1001}, "$.q.limit"),
        ({"limit": True}, "$.q.limit"),
        ({"limit": "50"}, "$.q.limit"),
        ({"limit": 1e3}, "$.q.limit"),
        ({"offset": -1}, "$.q.offset"),
        ({"offset": 10**30}, "$.q.offset"),
        ({"sortOrder": "down"}, "$.q.sortOrder"),
        ({"sortOrder": ["ASC"]}, "$.q.sortOrder"),
        ({"sortField": {}}, "$.q.sortField"),
        ({"filterExpression": [1]}, "$.q.filterExpression[0]"),
    ],
)
def test_a_spec_that_is_none_is_refused_with_its_place(body, path):
    with pytest.raises(InvalidInputError) as caught:
        query.parse(body, path="$.q")
    assert caught.value.path == path


def test_the_bounds_themselves_are_taken():
    assert query.parse({"limit": 1, "offset": 0}).limit == 1
    assert query.parse({"limit": 1000, "offset": 10**9}).limit == 1000
    assert query.parse({"edc:limit": 7, EDC + "sortOrder": "DESC"}) == query.Spec(0, 7, "", descending=True)


def test_numbers_sort_as_numbers_and_before_texts():
    documents = [{"@id": each, "n": each} for each in ("b", 10, 9, -1, 10**400, "a")]
    ordered = query.page(documents, query.Spec(sort_field="n"))
    assert [each["@id"] for each in ordered] == [-1, 9, 10, 10**400, "a", "b"]


@pytest.mark.parametrize("operator", query.OPERATORS)
def test_a_property_that_is_not_there_matches_nothing(operator):
    right = ["x"] if operator.endswith("in") else "x"
    for document in ({}, {"a": None}, {"a": []}, {"b": "x"}):
        assert not query.matches(criterion("a", operator, right), document)
