import json

import pytest

from comity.evidence import credentials


@pytest.mark.parametrize(
    "document",
    [
        {"dataAddress": {"endpoint": "https://x"}},
        {"dspace:dataAddress": {"x": 1}},
        {"https://w3id.org/dspace/2025/1/dataAddress": {"x": 1}},
        {"a": [{"edc:authorization": "x"}]},
        {"access_token": "x"},
        {"a": {"b": {"clientSecret": "x"}}},
        {"x-api-key": "x"},
        {"Password": "x"},
        {"url": "https://user:word@host/path"},
        ["s3://key:word@bucket"],
        ["https://ghp_1234@host/x"],
        {"note": "see https://bucket.example/a.stl?X-Amz-Date=1&X-Amz-Signature=00"},
        {"note": "https://store.example/a?sp=r&sig=abc"},
        {"note": "https://host/x?access_token=abc"},
        [{"name": "authorization", "value": "x"}],
    ],
    ids=str,
)
def test_a_message_with_a_credential_is_told(document):
    assert credentials.held_in(json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        {"@type": "TransferRequestMessage", "callbackAddress": "https://host:8443/dsp/2025-1", "format": "x"},
        {"agreement": {"permission": [{"action": "use"}], "timestamp": "2026-01-01T00:00:00Z"}},
        {"dataAddress": None, "mailto": "somebody@example.org", "tokenSha256": "00"},
        {"note": "https://host/x?page=2&design=3, or write to somebody@example.org", "name": "token"},
    ],
    ids=str,
)
def test_a_message_without_one_may_go(document):
    assert not credentials.held_in(json.dumps(document).encode())


def test_what_a_partner_made_very_long_is_read_as_quickly():
    for document in ({"a": "a" * 1_000_000}, {":" * 1_000_000: "a"}, {"a": "http://?" + "?&" * 500_000}):
        assert not credentials.held_in(json.dumps(document).encode())


def test_what_cannot_be_read_stays():
    assert credentials.held_in(b"secret=1")
