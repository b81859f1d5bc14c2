"""The door of the management API: key, paths, methods, bodies, and what is answered when something breaks."""

import asyncio
import logging
import socket
import tracemalloc
from urllib.parse import quote

import pytest

from comity import runtime
from comity.api.management import call, endpoints
from comity.management import roles
from support import pair as pairs

ROWS = sorted(endpoints.ENDPOINTS)
QUERIES = [row for row in ROWS if endpoints.ENDPOINTS[row].takes == "QuerySpec"]
FILE = {"dataAddress": {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/x"}}
MB = 1 << 20


def place(row, ident="x"):
    _, noun, rest = row
    return f"{noun}/{rest.replace('{id}', ident)}".rstrip("/")


def names(rows):
    return [" ".join(row) for row in rows]


async def test_every_endpoint_needs_the_key(api):
    for row in ROWS:
        for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": ""}, {"authorization": "Bearer x"}):
            answer = await api.request(row[0], place(row), b"{", headers=headers)
            assert answer.status == 401, row
            assert answer.problem["type"] == "unauthorized", row
            assert "www-authenticate" in answer.headers, row
            assert answer.taken == 0, row


async def test_no_endpoint_fails_on_what_does_not_exist(api):
    for row in ROWS:
        answer = await api.request(row[0], place(row))
        assert answer.status in {200, 400, 404}, row
        if answer.status != 200:
            assert answer.problem["type"] in {"not-found", "invalid-input"}, row


async def test_another_method_is_refused_with_those_that_there_are(api):
    for row in ROWS:
        answer = await api.request("PATCH", place(row))
        assert answer.status == 405, row
        assert answer.problem["type"] == "wrong-method", row
        assert row[0] in answer.headers["allow"].split(", "), row


async def test_the_key_may_come_as_a_bearer_token(api, site):
    for value in (f"Bearer {site.conf.management_key}", f"bearer {site.conf.management_key}"):
        assert (await api.get("partners", headers={"authorization": value})).status == 200


async def test_health_needs_no_key(api):
    answer = await api.get("/health", headers={})
    assert (answer.status, answer.json["status"]) == (200, "up")


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "assets/x/state",
        "/management/v3",
        "/management/v3/",
        "/management/nothing/request",
        "/management/",
        "/management",
        "/",
        "/x",
        "packages/request",
        "contractnegotiations/x/nothing",
    ],
)
async def test_unknown_paths_are_404_with_the_problem_in_a_list(api, path):
    answer = await api.post(path)
    assert (answer.status, answer.problem["type"]) in {(404, "not-found"), (405, "wrong-method")}


async def test_slashes_too_many_do_not_matter(api):
    name = await api.created("assets", {"@id": "a", **FILE})
    for path in (
        "/management/v3//assets/a",
        "/management/v3/assets//a/",
        "/management//v3/assets/a",
        "assets/a?",
    ):
        answer = await api.get(path)
        assert (answer.status, answer.json["@id"]) == (200, name), path
    assert len(await api.found("/management/v3//assets/request/")) == 1


@pytest.mark.parametrize(
    "name",
    [
        "urn:uuid:1-2",
        "https://h.example/a/b?c=d#e",
        "a%2Fb",
        "100% of it",
        "a/state",
        "request",
        "ü ß/ø",
        "..",
        "a;b=c",
        ".",
    ],
)
async def test_an_id_may_have_any_printable_character(api, name):
    assert await api.created("assets", {"@id": name, **FILE}) == name
    path = f"assets/{quote(name, safe='')}"
    assert (await api.get(path)).json["@id"] == name
    assert (await api.delete(path)).status == 204
    assert (await api.get(path)).status == 404


async def test_an_id_with_a_slash_is_found_unencoded_too(api):
    name = await api.created("assets", {"@id": "urn:a/b/c", **FILE})
    assert (await api.get("assets/urn:a/b/c")).json["@id"] == name


@pytest.mark.parametrize("name", ["", "x" * 1025, "a\nb", "a\x00", 7, ["a"], True])
async def test_an_id_that_is_none_is_refused(api, name):
    for path, body in (
        ("assets", FILE),
        ("policydefinitions", {"policy": {"permission": [{"action": "use"}]}}),
    ):
        answer = await api.post(path, {"@id": name, **body})
        assert (answer.status, answer.problem["path"]) == (400, "$.@id")
    answer = await api.post("assets", {"properties": {"id": name}, **FILE})
    assert (answer.status, answer.problem["path"]) == (400, "$.properties.id")


@pytest.mark.parametrize("row", QUERIES, ids=names(QUERIES))
async def test_a_query_needs_no_body(api, row):
    for body in (None, b"", b"  \n", {}, {"@context": {}, "filterExpression": None, "sortField": None}):
        answer = await api.post(place(row), body)
        assert (answer.status, answer.json) == (200, [])


WRONG_QUERIES = [
    ({"limit": 0}, "$.limit"),
    ({"limit": 1001}, "$.limit"),
    ({"limit": "5"}, "$.limit"),
    ({"limit": True}, "$.limit"),
    ({"offset": -1}, "$.offset"),
    ({"offset": 1.5}, "$.offset"),
    ({"sortOrder": "UP"}, "$.sortOrder"),
    ({"sortOrder": ["ASC"]}, "$.sortOrder"),
    ({"sortField": 1}, "$.sortField"),
    ({"filterExpression": [1]}, "$.filterExpression[0]"),
    ({"filterExpression": "x"}, "$.filterExpression[0]"),
    ({"filterExpression": [{"operator": "=", "operandRight": 1}]}, "$.filterExpression[0].operandLeft"),
    (
        {"filterExpression": [{"operandLeft": "id", "operator": "~", "operandRight": 1}]},
        "$.filterExpression[0].operator",
    ),
    (
        {"filterExpression": [{"operandLeft": "id", "operator": ["="], "operandRight": 1}]},
        "$.filterExpression[0].operator",
    ),
    ({"filterExpression": [{"operandLeft": "id", "operator": "="}]}, "$.filterExpression[0].operandRight"),
    (
        {"filterExpression": [{"operandLeft": "id", "operator": "in", "operandRight": "x"}]},
        "$.filterExpression[0].operandRight",
    ),
]


@pytest.mark.parametrize("row", QUERIES, ids=names(QUERIES))
async def test_a_wrong_query_is_refused_with_its_place(api, row):
    for body, path in WRONG_QUERIES:
        answer = await api.post(place(row), body)
        assert (answer.status, answer.problem["path"]) == (400, path)


@pytest.mark.parametrize("row", [row for row in QUERIES if row[1] != "assets"], ids=" ".join)
async def test_a_field_that_no_document_has_is_refused_and_never_ignored(api, row):
    criterion = {"operandLeft": "noSuchField", "operator": "=", "operandRight": "x"}
    answer = await api.post(
        place(row),
        {"filterExpression": [{"operandLeft": "id", "operator": "=", "operandRight": "x"}, criterion]},
    )
    assert (answer.status, answer.problem["path"]) == (400, "$.filterExpression[1].operandLeft")
    answer = await api.post(place(row), {"sortField": "noSuchField"})
    assert (answer.status, answer.problem["path"]) == (400, "$.sortField")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "deep"),
        (b"[]", "array"),
        (b"null", "null"),
        (b'"x"', "string"),
        (b"7", "number"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\\ud800"}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\x00", "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
    ],
    ids=lambda value: repr(value[:20]),
)
async def test_what_is_no_json_object_is_refused_and_changes_nothing(api, site, body, word):
    for row in ROWS:
        if row[0] in {"POST", "PUT"}:
            answer = await api.request(row[0], place(row), body)
            assert (answer.status, answer.problem["type"]) == (400, "invalid-input"), row
            assert word in answer.problem["message"]
    assert not await site.rows("SELECT id FROM asset UNION ALL SELECT id FROM partner")


@pytest.mark.parametrize("number", [10**30, -(10**30), 2**64])
async def test_a_number_beyond_what_is_stored_is_refused(api, number):
    for body in ({"properties": {"n": number}, **FILE}, {"privateProperties": {"n": number}, **FILE}):
        answer = await api.post("assets", body)
        assert (answer.status, answer.problem["type"]) == (400, "invalid-input")


async def test_a_compressed_body_is_refused(api, site):
    headers = {"x-api-key": site.conf.management_key, "content-encoding": "gzip"}
    answer = await api.post("assets", b"\x1f\x8b", headers=headers)
    assert answer.status == 415
    assert "Content-Encoding" in answer.problem["hint"]


async def test_a_body_that_says_it_has_100_mb_is_refused_unread(api, site):
    headers = {"x-api-key": site.conf.management_key, "content-length": str(100 * MB)}
    answer = await api.post("assets", headers=headers, chunks=(b" " * MB for _ in range(100)))
    assert (answer.status, answer.problem["type"], answer.taken) == (413, "too-large", 0)


async def test_a_body_of_100_mb_is_cut_early_and_memory_stays_flat(api):
    tracemalloc.start()
    try:
        answer = await api.post("assets", chunks=(b" " * MB for _ in range(100)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.status, answer.problem["type"]) == (413, "too-large")
    assert answer.taken <= 5 * MB
    assert peak < 8 * MB


async def test_100_mb_over_a_socket_are_answered_while_they_still_come(api, site):
    server = runtime._server(site.parts.internal, None)
    bound = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([bound]))
    await pairs.wait_for(lambda: server.started)
    reader, writer = await asyncio.open_connection("127.0.0.1", bound.getsockname()[1])
    try:
        head = f"POST /management/v3/assets HTTP/1.1\r\nHost: x\r\nX-Api-Key: {site.conf.management_key}\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = 0
        answer = asyncio.create_task(reader.readuntil(b"\r\n"))
        while not answer.done() and sent < 100:
            writer.write(b"100000\r\n" + b" " * MB + b"\r\n")
            await writer.drain()
            sent += 1
        assert b" 413 " in await answer
        assert sent < 100
    finally:
        writer.transport.abort()
        server.should_exit = True
        await serving


async def test_an_unexpected_error_has_an_id_that_the_log_has_too(api, monkeypatch, caplog):
    async def broken(connector, call):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setitem(endpoints.ENDPOINTS, ("GET", "partners", ""), call.Row(broken, roles.VIEWER))
    with caplog.at_level(logging.ERROR):
        answer = await api.get("partners")
    assert (answer.status, answer.problem["type"]) == (500, "internal")
    assert b"secret" not in answer.body
    assert b"ZeroDivision" not in answer.body
    assert answer.problem["id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_full_disk_is_503_and_nothing_is_changed(api, site):
    await api.created("assets", {"@id": "before", **FILE})
    database = site.connector.database

    async def fill(tx):
        pages = (await tx.one("PRAGMA page_count"))[0]
        return await tx.one(f"PRAGMA max_page_count = {pages}")

    await database.write(fill)
    answer = await api.post("assets", {"@id": "a", "properties": {"much": "x" * 1_000_000}, **FILE})
    assert (answer.status, answer.problem["type"]) == (503, "database")
    assert int(answer.headers["retry-after"]) > 0
    assert "disk is full" in answer.problem["message"]
    assert answer.problem["hint"]
    folder = site.folder.parent / "full"
    folder.mkdir()
    for at in range(3000):
        (folder / f"{at:0200}").touch()
    answer = await api.post("packages", {"folder": str(folder), "assetId": "p"})
    assert answer.status == 503
    assert [each["@id"] for each in await api.found("assets/request")] == ["before"]
    assert await api.found("policydefinitions/request") == []
    await database.write(lambda tx: tx.one("PRAGMA max_page_count = 1000000"))
    await api.created("assets", {"@id": "after", **FILE})
    assert [each["@id"] for each in await api.found("assets/request")] == ["before", "after"]


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=-1", "limit=x", "limit=1001", "limit=0", f"after={10**30}", "after=", "limit=%D9%A3"],
)
async def test_a_page_of_evidence_takes_numbers_only(api, query):
    answer = await api.get(f"evidence?{query}")
    assert (answer.status, answer.problem["path"]) == (400, f"$.{query.partition('=')[0]}")
