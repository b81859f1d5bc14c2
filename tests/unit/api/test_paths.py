"""From a raw path to the row of the table, and the id in it."""

import pytest

from comity.api.management import endpoints, paths
from comity.api.problems import MethodError
from comity.errors import NotFoundError

TABLE = paths.methods_of(endpoints.ENDPOINTS)


def find(method, path):
    return paths.find(TABLE, method, path.encode())


@pytest.mark.parametrize(
    ("method", "path", "noun", "rest", "ident"),
    [
        ("POST", "/management/v3/assets", "assets", "", ""),
        ("POST", "/management/v3/assets/", "assets", "", ""),
        ("POST", "/management//v3//assets//request//", "assets", "request", ""),
        ("GET", "/management/v3/assets/request", "assets", "{id}", "request"),
        ("GET", "/management/v3/assets/a?x=/b", "assets", "{id}", "a"),
        ("GET", "/management/v3/assets//a", "assets", "{id}", "a"),
        ("GET", "/management/v3/assets/https://h/a", "assets", "{id}", "https://h/a"),
        ("GET", "/management/v3/assets/https%3A%2F%2Fh%2Fa%3Fb%23c", "assets", "{id}", "https://h/a?b#c"),
        ("GET", "/management/v3/assets/%C3%BC%20%25", "assets", "{id}", "ü %"),
        ("GET", "/management/v3/contractnegotiations/a/state", "contractnegotiations", "{id}/state", "a"),
        ("GET", "/management/v3/contractnegotiations/a//state/", "contractnegotiations", "{id}/state", "a"),
        ("GET", "/management/v3/contractnegotiations/a%2Fstate", "contractnegotiations", "{id}", "a/state"),
        ("GET", "/management/v3/contractnegotiations/a/b/state", "contractnegotiations", "{id}/state", "a/b"),
        ("POST", "/management/v3/contractnegotiations/request", "contractnegotiations", "request", ""),
        (
            "POST",
            "/management/v3/contractnegotiations/a/request",
            "contractnegotiations",
            "{id}/request",
            "a",
        ),
        ("POST", "/management/v3/catalog/dataset/request", "catalog", "dataset/request", ""),
        (
            "GET",
            "/management/v3//contractagreements/a/negotiation",
            "contractagreements",
            "{id}/negotiation",
            "a",
        ),
        ("GET", "/management/v3/edrs/a/dataaddress?auto_refresh=True", "edrs", "{id}/dataaddress", "a"),
    ],
)
def test_a_path_finds_its_row(method, path, noun, rest, ident):
    key, found = find(method, path)
    assert key == (method, noun, rest)
    assert found == ident


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/management/v3/assets", "POST, PUT"),
        ("PATCH", "/management/v3/assets/a", "DELETE, GET"),
        ("GET", "/management/v3/contractnegotiations/a/terminate", "POST"),
        ("POST", "/management/v3/contractnegotiations/a/state", "GET"),
        ("GET", "/management/v3/catalog/request", "POST"),
        ("POST", "/management/v3/evidence", "GET"),
    ],
)
def test_another_method_is_refused_with_those_that_there_are(method, path, allowed):
    with pytest.raises(MethodError) as caught:
        find(method, path)
    assert caught.value.allowed == allowed


@pytest.mark.parametrize(
    "path",
    ["", "/", "/management", "/management/v3", "/management/v3/", "/management/v3/nothing", "/management/v4/assets",
     "/management/assets", "/other/v3/assets", "/v3/assets", "/management/v3/edrs/a", "/management/v3/edrs/a/b"],
)  # fmt: skip
def test_there_is_nothing_elsewhere(path):
    with pytest.raises(NotFoundError) as caught:
        find("POST", path)
    assert not isinstance(caught.value, MethodError)


def test_every_endpoint_is_found_by_its_own_path():
    for method, noun, rest in endpoints.ENDPOINTS:
        path = f"/management/v3/{noun}/{rest.replace('{id}', 'urn%3Ax')}"
        assert find(method, path) == ((method, noun, rest), "urn:x" if "{id}" in rest else "")
