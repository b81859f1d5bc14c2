from __future__ import annotations

import json

import pytest

from comity import errors
from comity.identity import mock


def test_what_is_formatted_is_parsed():
    assert mock.parse(mock.format("did:web:a", "https://b")) == "did:web:a"


def test_header_has_the_three_members_that_edc_needs_none_of_them_null():
    claimed = json.loads(mock.format("did:web:a", "https://b"))
    assert set(claimed) == {"region", "audience", "clientId"}
    assert all(claimed.values())


def test_unknown_members_do_not_matter():
    assert mock.parse('{"region":"any","audience":null,"clientId":"any"}') == "any"


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer abc", "[]", "null", "{}", '{"clientId":null}', '{"clientId":1}', '{"clientId":""}',
        '{"clientId":"a","clientId":"b"}', '{"clientId":"' + "a" * 2000 + '"}', '{"clientId":"a\\n"}', "[" * 9000,
        '{"clientId":"\\ud800"}', '"\ud800"',
    ],
)  # fmt: skip
def test_header_that_claims_nothing_is_refused(header):
    with pytest.raises(errors.IdentityError) as caught:
        mock.parse(header)
    assert caught.value.step == "header"
