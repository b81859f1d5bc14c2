"""What a consumer may ask of a push, and how we ask for one."""

import pytest

from comity import errors
from comity.dsp import push

EDC = "https://w3id.org/edc/v0.0.1/ns/"


def address(kind="HttpData", endpoint=None, **properties):
    listed = [
        {"@type": "EndpointProperty", "name": name, "value": value} for name, value in properties.items()
    ]
    return {"@type": "DataAddress", "endpointType": kind, "endpoint": endpoint, "endpointProperties": listed}


@pytest.mark.parametrize(
    "written",
    [
        address(endpoint="https://x.example/in", authKey="X-Api-Key", authCode="k"),
        address(baseUrl="https://x.example/in", authKey="X-Api-Key", authCode="k"),
        address(
            **{
                EDC + "baseUrl": "https://x.example",
                EDC + "path": "/in",
                EDC + "authKey": "X-Api-Key",
                EDC + "authCode": "k",
            }
        ),
        address(
            "https://w3id.org/idsa/v4.1/HTTP",
            **{EDC + "endpoint": "https://x.example/in", "header:X-Api-Key": "k"},
        ),
    ],
)
def test_an_address_is_read_in_every_spelling(written):
    found = push.read(written)
    assert (found.endpoint, found.method, dict(found.headers)) == (
        "https://x.example/in",
        "POST",
        {"X-Api-Key": "k"},
    )
    assert not found.folder


def test_what_we_ask_for_reads_back_and_has_both_forms():
    asked = push.inbox_address("https://us.example/inbox/urn:t", "t" * 43)
    named = {each["name"]: each["value"] for each in asked["endpointProperties"]}
    assert asked["endpointType"] == "HttpData"
    assert (
        named[EDC + "baseUrl"]
        == named[EDC + "endpoint"]
        == asked["endpoint"]
        == "https://us.example/inbox/urn:t"
    )
    assert named[EDC + "authKey"] == "Authorization"
    assert named[EDC + "authCode"] == f"Bearer {'t' * 43}"
    assert (named["authorization"], named["authType"]) == ("t" * 43, "bearer")
    found = push.read(asked)
    assert dict(found.headers) == {"Authorization": f"Bearer {'t' * 43}"}
    assert found.folder


def test_the_specifications_own_names_of_a_token_are_read():
    found = push.read(address(endpoint="https://x.example", authorization="abc", authType="bearer"))
    assert dict(found.headers) == {"Authorization": "Bearer abc"}


@pytest.mark.parametrize("name", sorted(push.HEADERS))
def test_a_header_on_the_list_is_taken_in_any_case(name):
    found = push.read(address(endpoint="https://x.example", authKey=name.upper(), authCode="v"))
    assert dict(found.headers) == {name.upper(): "v"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"authKey": "Host", "authCode": "x"}, "not sent for a partner"),
        ({"authKey": "Content-Length", "authCode": "1"}, "not sent for a partner"),
        ({"authKey": "Transfer-Encoding", "authCode": "chunked"}, "not sent for a partner"),
        ({"authKey": "Cookie", "authCode": "x"}, "not sent for a partner"),
        ({"authKey": "Proxy-Authorization", "authCode": "x"}, "not sent for a partner"),
        ({"header:X-Forwarded-For": "10.0.0.1"}, "not sent for a partner"),
        ({"header:Authorization\r\nHost": "x"}, "not sent for a partner"),
        ({"authKey": "X-Api-Key", "authCode": "a\nb"}, "visible ASCII"),
        ({"authKey": "X-Api-Key", "authCode": "x" * 8193}, "visible ASCII"),
        ({"authKey": "X-Api-Key"}, "needs an authCode"),
        ({"authKey": "X-Api-Key", "secretName": "ours"}, "secretName is not supported"),
        ({"oauth2:tokenUrl": "https://x.example"}, "oauth2 is not supported"),
        ({"queryParams": "a=b"}, "queryParams is not supported"),
        ({"method": "DELETE"}, "POST or PUT"),
        ({"contentType": "a/b\r\nX: 1"}, "not a media type"),
        ({push.FOLDER: "true", "baseUrl": "https://x.example/?sig=1"}, "has no query"),
        ({"path": "/a", "baseUrl": "https://x.example/?sig=1"}, "cannot be added"),
    ],
)
def test_what_a_push_does_not_do_is_refused_with_its_place(changes, words):
    with pytest.raises(errors.InvalidInputError, match=words) as caught:
        push.read(address(**{"baseUrl": "https://x.example/in", **changes}))
    assert caught.value.path == "$.dataAddress.endpointProperties"


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (None, "$.dataAddress"),
        (address("AmazonS3", endpoint="https://x.example"), "$.dataAddress.endpointType"),
        ({"endpoint": "https://x.example"}, "$.dataAddress.endpointType"),
        (address({"@id": "HttpData"}, endpoint="https://x.example"), "$.dataAddress.endpointType"),
        (address(["HttpData"], endpoint="https://x.example"), "$.dataAddress.endpointType"),
        (address(), "$.dataAddress.endpoint"),
        (address(endpoint=3), "$.dataAddress.endpoint"),
        (address(endpoint="ftp://x.example"), "$.dataAddress.endpoint"),
        (address(endpoint="https://me@x.example"), "$.dataAddress.endpoint"),
        (address(endpoint="https://x.example\r\n"), "$.dataAddress.endpoint"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_with_its_place(written, path):
    with pytest.raises(errors.InvalidInputError) as caught:
        push.read(written)
    assert caught.value.path == path


def test_a_signed_address_keeps_its_query():
    found = push.read(
        address(endpoint="https://x.example/blob?sig=a%2Bb", method="put", contentType="model/step")
    )
    assert (found.endpoint, found.method, found.media_type) == (
        "https://x.example/blob?sig=a%2Bb",
        "PUT",
        "model/step",
    )
