"""Time stamps against an authority whose signer is OpenSSL."""

from __future__ import annotations

import time

import pytest

from comity.evidence import stamp
from support.stamping import Authority

NOTE = "log\n1\nroot\n\n— log signature\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def response(authority):
    return authority.stamp(stamp.request(NOTE))


def _trusted(authority):
    return stamp.certificates(authority.ca.read_bytes())


def test_a_stamp_says_when_and_who(authority, response):
    found = stamp.check(response, NOTE, _trusted(authority))

    assert abs(found.at / 1000 - time.time()) < 60
    assert found.authority == "CN=Test time stamps"
    assert found.serial > 0


def test_a_stamp_is_about_one_note_only(authority, response):
    with pytest.raises(stamp.StampError, match="does not hold"):
        stamp.check(response, NOTE + " ", _trusted(authority))


def test_a_stamp_of_an_authority_that_is_not_trusted_does_not_hold(response, tmp_path):
    with pytest.raises(stamp.StampError, match="does not hold"):
        stamp.check(response, NOTE, _trusted(Authority(tmp_path)))


def test_a_stamp_with_one_bit_flipped_does_not_hold(authority, response):
    kept = stamp.check(response, NOTE, _trusted(authority))
    for at in range(0, len(response), 16):
        changed = bytearray(response)
        changed[at] ^= 4
        try:
            found = stamp.check(bytes(changed), NOTE, _trusted(authority))
        except stamp.StampError:
            continue
        assert found == kept  # a bit that nothing depends on, in a certificate that is not used


def test_a_refusal_is_told_in_the_words_of_the_authority(authority):
    with pytest.raises(stamp.StampError, match="gave no time stamp: status 2"):
        stamp.check(authority.stamp(b"no request"), NOTE, _trusted(authority))


@pytest.mark.parametrize("content", [b"", b"junk", b"0\x03\x02\x01\x00"])
def test_what_is_no_stamp_is_none(content, authority):
    with pytest.raises(stamp.StampError):
        stamp.check(content, NOTE, _trusted(authority))
    with pytest.raises(stamp.StampError, match="no certificates"):
        stamp.certificates(content)
