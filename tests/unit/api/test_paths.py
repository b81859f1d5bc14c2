"""From a raw path to the row of the table, and the id in it."""

import pytest

from comity.api.management import endpoints, paths
from comity.api.problems import MethodError
from comity.errors import NotFoundError
from comity.management import versions

TABLE = paths.methods_of(endpoints.ENDPOINTS)
TABLES = {"v3": TABLE, "v4": TABLE}


def find(method, path):
    return paths.find(TABLES, method, path.encode())


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
    found = find(method, path)
    assert found.key == (method, noun, rest)
    assert found.id == ident
    assert found.version is versions.V3


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
    ["", "/", "/management", "/management/v3", "/management/v3/", "/management/v3/nothing", "/management/nothing",
     "/management/v4", "/other/v3/assets", "/v3/assets", "/management/v3/packages/a", "/management/v3/packages/a/b"],
)  # fmt: skip
def test_there_is_nothing_elsewhere(path):
    with pytest.raises(NotFoundError) as caught:
        find("POST", path)
    assert not isinstance(caught.value, MethodError)


def test_every_endpoint_is_found_by_its_own_path():
    for method, noun, rest in endpoints.ENDPOINTS:
        path = f"/management/v3/{noun}/{rest.replace('{id}', 'urn%3Ax')}"
        found = find(method, path)
        assert (found.key, found.id) == ((method, noun, rest), "urn:x" if "{id}" in rest else "")


@pytest.mark.parametrize(
    ("segment", "version"),
    [
        ("v3", versions.V3),
        ("v4", versions.V4),
        ("v4alpha", versions.V3),
        ("v3.1alpha", versions.V3),
        ("v4beta", versions.V4),
    ],
)
def test_a_version_has_the_names_that_edc_gave_it(segment, version):
    assert find("GET", f"/management//{segment}//assets//a").version is version


@pytest.mark.parametrize(
    "path",
    [
        "/management/contractagreements/a",
        "/management//contractagreements//a/",
        "/management/contractagreements/v3",
    ],
)
def test_a_path_without_a_version_is_of_the_version_that_takes_most(path):
    found = find("GET", path)
    assert found.key == ("GET", "contractagreements", "{id}")
    assert found.version is versions.V3


@pytest.mark.parametrize("segment", ["v1", "v2", "v5", "v5beta", "v3.2", "v33"])
def test_another_version_is_refused_with_those_that_there_are(segment):
    with pytest.raises(versions.UnknownVersionError) as caught:
        find("POST", f"/management/{segment}/assets")
    assert segment in caught.value.message
    assert caught.value.hint == "there is: v3, v4"


def test_an_endpoint_that_a_version_does_not_have_is_not_there():
    tables = {"v3": TABLE, "v4": paths.methods_of([("GET", "assets", "{id}")])}
    with pytest.raises(NotFoundError):
        paths.find(tables, "GET", b"/management/v4/edrs/a/dataaddress")
    assert paths.find(tables, "GET", b"/management/v3/edrs/a/dataaddress").version is versions.V3


FILES = {
    "v3": paths.methods_of(
        [
            ("GET", "readings", "{id}/files/{path}"),
            ("GET", "readings", "{id}/files"),
            ("GET", "readings", "{id}"),
        ]
    )
}


@pytest.mark.parametrize(
    ("path", "rest", "ident", "file"),
    [
        ("readings/urn%3Ax/files/a/b%20c.txt", "{id}/files/{path}", "urn:x", "a/b c.txt"),
        ("readings/urn:x/files/files", "{id}/files/{path}", "urn:x", "files"),
        ("readings/urn:x/files/..%2Fkeys", "{id}/files/{path}", "urn:x", "../keys"),
        ("readings/a%2Fb/files/x/", "{id}/files/{path}", "a/b", "x"),
        ("readings/urn:x/files", "{id}/files", "urn:x", ""),
        ("readings/urn:x/files/", "{id}/files", "urn:x", ""),
    ],
)
def test_a_file_of_something_is_all_after_files(path, rest, ident, file):
    found = paths.find(FILES, "GET", f"/management/v3/{path}".encode())
    assert (found.key[2], found.id, found.path) == (rest, ident, file)
