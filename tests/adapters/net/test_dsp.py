from __future__ import annotations

import json

import pytest

from comity import errors
from comity.net import dsp

NOW_S = 1_800_000_000


@pytest.fixture
def talk(client):
    return dsp.DspClient(client, clock_s=lambda: NOW_S)


async def test_message_is_posted_with_its_bytes_and_header(serve, talk, answer):
    server = await serve(lambda *_: answer(b'{"a":1}', "201 Created"))
    assert await talk.post(server.url + "/negotiations/request", b"{}", dsp.Bearer("Bearer t")) == b'{"a":1}'
    line, headers, body = server.requests[0]
    assert (line, body) == ("POST /negotiations/request HTTP/1.1", b"{}")
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer t", "application/json")


async def test_get_may_go_without_authorization(serve, talk, answer):
    server = await serve(lambda *_: answer(b"{}"))
    assert await talk.get(server.url, dsp.Bearer()) == b"{}"
    assert "Authorization" not in server.requests[0][1]


@pytest.mark.parametrize(("size_mib", "taken"), [(1, True), (2, False)])
async def test_an_answer_to_a_message_may_have_a_mebibyte(serve, talk, answer, size_mib, taken):
    body = b" " * (size_mib << 20)
    server = await serve(lambda *_: answer(body))
    if taken:
        assert await talk.post(server.url, b"{}", dsp.Bearer()) == body
        return
    with pytest.raises(errors.PermanentDeliveryError, match="1048576 bytes") as caught:
        await talk.post(server.url, b"{}", dsp.Bearer())
    assert caught.value.status == 200


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
async def test_status_that_may_change_is_tried_again(serve, talk, answer, status):
    server = await serve(lambda *_: answer(b"busy", f"{status} X", Retry_After="7"))
    with pytest.raises(errors.TransientDeliveryError, match=f"{status}: busy") as caught:
        await talk.post(server.url, b"{}", dsp.Bearer())
    assert caught.value.retry_after_s == 7
    assert caught.value.outcome_unknown is (status >= 500)


@pytest.mark.parametrize(
    "status", [300, 301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451]
)
async def test_other_status_is_the_partner_s_refusal(serve, talk, answer, status):
    body = json.dumps(
        {"@type": "ContractNegotiationError", "code": "17", "reason": ["not so", "nor so"]}
    ).encode()
    server = await serve(lambda *_: answer(b"" if status == 304 else body, f"{status} X", Location="/b"))
    with pytest.raises(errors.PermanentDeliveryError) as caught:
        await talk.post(server.url, b"{}", dsp.Bearer())
    assert caught.value.status == status
    assert caught.value.reason == ("" if status == 304 else "not so; nor so")
    assert len(server.requests) == 1


REASONS = [
    (b'{"reason":["a","b"],"code":"1"}', "a; b"),
    (b'{"reason":"a"}', "a"),
    (b'{"reason":[{"@value":"a","@language":"en"}]}', "a"),
    (b'{"dspace:reason":"a"}', "a"),
    (b'{"code":"17","reason":[]}', "17"),
    (b'{"message":"m"}', "m"),
    (b'[{"message":"m","type":"T"},{"message":"n"}]', "m; n"),
    (b'{"type":"about:blank","title":"t","detail":"d"}', "d; t"),
    (b"plain words", "plain words"),
    (b'"text"', "text"),
    (b"a\r\nb\x00c\x1b[31m", "a  b c [31m"),
    ("грн".encode(), "грн"),
    (b"", ""),
    (b"<html>no</html>", ""),
    (b"{broken", ""),
    (b"null", ""),
    (b"17", ""),
    (b'{"reason":{"reason":{"reason":{"reason":{"reason":"deep"}}}}}', ""),
    (b"[" * 60_000, ""),
    (b"\xff\xfe", "\ufffd\ufffd"),
    (b'{"reason":"\\ud800"}', ""),
]


@pytest.mark.parametrize(("body", "words"), REASONS, ids=[repr(body[:30]) for body, _ in REASONS])
def test_partner_s_words_are_found_and_made_harmless(body, words):
    assert dsp.reason(body) == words


def test_partner_s_words_are_cut():
    assert dsp.reason(b'{"reason":"' + b"x" * 5000 + b'"}') == "x" * 500
    assert len(dsp.reason(json.dumps({"reason": ["y" * 400] * 100}).encode())) == 500


WAITS = [
    ("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("999999999", 86400.0), ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
    ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
    ("Fri, 15 Jan 2038 07:00:00 GMT", 86400.0), ("", None), ("-1", None),
    ("1.5", None), ("soon", None), ("٧", None),
    ("9" * 50, None), ("Fri, 99 Jan 2027 08:01:00 GMT", None), ("nan", None),
    ("Fri, 15 Jan 99999 08:01:00 GMT", None), ("Fri, 15 Jan 2027 08:01:00", 60.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wait_s"), WAITS)
def test_retry_after_is_read_as_seconds_or_date(text, wait_s):
    assert dsp.retry_after_s({"Retry-After": text}, NOW_S) == wait_s


async def test_pages_are_followed_by_the_link_of_the_answer(serve, talk, answer):
    def script(me, _):
        return (
            answer(b"2")
            if len(me.requests) > 1
            else answer(b"1", Link='</c?page=2>; rel="next", </c>; rel=prev')
        )

    server = await serve(script)
    page, link = await talk.post_page(server.url + "/c", b"{}", dsp.Bearer("Bearer t"))
    assert (page, link) == (b"1", server.url + "/c?page=2")
    assert await talk.post_page(link, b"{}", dsp.Bearer("Bearer t")) == (b"2", None)
    assert server.requests[1][0] == "POST /c?page=2 HTTP/1.1"


async def test_link_headers_may_be_repeated(serve, talk, answer):
    server = await serve(lambda *_: answer(b"1", Link='</a>; rel="prev"\r\nLink: </b>; rel="next"'))
    assert await talk.post_page(server.url, b"{}", dsp.Bearer()) == (b"1", server.url + "/b")


LINKS = [
    ('<https://h/b>; rel="next"', "https://h/b"),
    ("<b?x=%2F>; rel=next", "https://h/a/b?x=%2F"),
    ("<?p=2>;rel=NEXT", "https://h/a/c?p=2"),
    ('<https://h:443/b>; title="a, b"; rel="prev next"', "https://h/b"),
    ('</x>; rel="prev", </y>; rel="next"', "https://h/y"),
    ("<https://H/b>; rel=next", "https://H/b"),
    ("", None),
    ("</b>", None),
    ('</b>; rel="prev"', None),
    ("garbage", None),
    ("<<<>>>;rel=next", None),
    ("</b>; rel=nextish", None),
    ('</b>; title="rel=next"', None),
    ("<" * 8000, None),
    ("</b>" + ";a=b" * 4000, None),
    ('</b>; rel="' + "x " * 4000, None),
]


@pytest.mark.parametrize(("header", "link"), LINKS, ids=lambda value: repr(value)[:40])
def test_next_link_is_read(header, link):
    assert dsp._next_link("https://h/a/c", header) == link


@pytest.mark.parametrize(
    "target",
    [
        "https://other/b", "http://h/b", "https://h:8443/b", "//other/b", "https://h.evil/b", "https://u@h/b", "file:///etc",
        "https://h@evil/b", "javascript:x", "https://[/",
    ],
)  # fmt: skip
def test_next_page_at_another_origin_is_refused(target):
    with pytest.raises(errors.PermanentDeliveryError, match="another origin"):
        dsp._next_link("https://h/a/c", f"<{target}>; rel=next")


def entry(version="2025-1", path="/dsp/2025-1", binding="HTTPS", **more) -> dict:
    return {"version": version, "path": path, "binding": binding, **more}


PATHS = [
    ([entry()], "/dsp/2025-1"),
    ([entry("2024-1", "/old"), entry(), entry(path="/second")], "/dsp/2025-1"),
    ([entry(path="/")], ""),
    ([entry(path="")], ""),
    ([entry(path="/a/b/")], "/a/b"),
    ([entry(path="dsp")], "/dsp"),
    ([{"version": "2025-1", "path": "/x"}], "/x"),
    ([entry(auth={"protocol": "DCP"}), "x", None, 1], "/dsp/2025-1"),
    ([entry(path="{root}/dsp/2025-1")], "/dsp/2025-1"),
    ([entry(path="{root}")], ""),
    ([entry(path="/oauth", auth={"protocol": "OAuth", "version": "2"}), entry()], "/dsp/2025-1"),
    ([entry(path="/duns", identifierType="D-U-N-S"), entry(identifierType="did:web")], "/dsp/2025-1"),
    ([entry("2024/1", "/2024/1"), entry("2025/1")], "/dsp/2025-1"),
    ([entry(path="dsp/2025-1", binding="https")], "/dsp/2025-1"),
]


@pytest.mark.parametrize(("entries", "path"), PATHS)
async def test_version_path_is_chosen(serve, talk, answer, entries, path):
    body = json.dumps({"protocolVersions": entries}).encode()
    server = await serve(lambda *_: answer(body.replace(b"{root}", f"{server.url}/top".encode())))
    assert await talk.version(server.url + "/top/") == path
    assert await talk.version(server.url + "/top/.well-known/dspace-version") == path
    assert [line for line, _, _ in server.requests] == ["GET /top/.well-known/dspace-version HTTP/1.1"] * 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"protocolVersions": [entry("2024-1"), entry("0.8", binding="GRPC")]},
            r"speaks 2024-1, 0.8 \(GRPC\), and this connector speaks 2025-1 \(HTTPS\) only",
        ),
        ({"protocolVersions": [entry(binding="GRPC")]}, r"2025-1 \(GRPC\)"),
        ({"protocolVersions": []}, "no version"),
        ({"protocolVersions": "2025-1"}, "no version"),
        ({"protocolVersions": [entry(path=1)]}, "2025-1"),
        ({}, "no version"),
        ([], "not a version answer"),
        ({"protocolVersions": [entry(path="//evil/x")]}, "unusable path"),
        ({"protocolVersions": [entry(path="/../x")]}, "unusable path"),
        ({"protocolVersions": [entry(path="/a/..")]}, "unusable path"),
        ({"protocolVersions": [entry(path="/a?b")]}, "unusable path"),
        ({"protocolVersions": [entry(path="/a%2f..")]}, "unusable path"),
        ({"protocolVersions": [entry(path="https://evil/")]}, "unusable path"),
        ({"dspace:protocolVersions": [{"dspace:version": "v0.8", "dspace:path": "/"}]}, "speaks 0.8, and"),
        ({"protocolVersions": [entry(path="@evil/")]}, ""),
        ({"protocolVersions": [entry(path="/" + "a" * 3000)]}, "unusable path"),
    ],
    ids=str,
)
async def test_partner_without_our_version_is_refused(serve, talk, answer, body, words):
    server = await serve(lambda *_: answer(json.dumps(body).encode()))
    if not words:
        assert (await talk.version(server.url)).startswith("/")
        return
    with pytest.raises(errors.PermanentDeliveryError, match=words):
        await talk.version(server.url)


async def test_version_answer_that_is_no_json_or_too_long_is_refused(serve, talk, answer):
    for body in (b"<html>", b"\xff", b"x" * 70_000):
        server = await serve(lambda *_, body=body: answer(body))
        with pytest.raises(errors.PermanentDeliveryError):
            await talk.version(server.url)


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed", "410 Gone"])
async def test_partner_without_a_version_endpoint_is_told_from_one_that_is_away(serve, talk, answer, status):
    server = await serve(lambda *_: answer(b"<html>", status))
    with pytest.raises(errors.PermanentDeliveryError, match=r"0\.8 or 2024-1.*speaks 2025-1 only") as caught:
        await talk.version(server.url)
    assert caught.value.status == int(status[:3])
    assert "--address" in caught.value.hint
    server = await serve(lambda *_: answer(b"", "503 Busy"))
    with pytest.raises(errors.TransientDeliveryError):
        await talk.version(server.url)
