import gzip

import pytest
from starlette.requests import Request

from comity.api import packing


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("gzip;q=0.001", True),
        (" gzip ; q=0.5 ", True),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*;q=0", False),
        ("br", False),
        ("deflate", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=x", False),
        ("gzip;level=9", False),
        ("x" * 2000 + ", gzip", False),
        ("g\u00e9zip", False),
    ],
)
def test_gzip_is_sent_to_who_takes_it(header, wanted):
    assert packing.wants_gzip(header) is wanted


def request(*accepted):
    headers = [(b"accept-encoding", each.encode()) for each in accepted]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


@pytest.mark.parametrize("size", [packing.LEAST_BYTES, packing.ASIDE_BYTES + 1])
async def test_what_is_packed_says_so_and_is_smaller(size):
    content = b"dataset " * (size // 8)
    answer = await packing.answer(request("gzip"), content, "application/json")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == content
    assert int(answer.headers["content-length"]) == len(answer.body) < len(content) / 5


@pytest.mark.parametrize(("accepted", "size"), [((), 5000), (("identity",), 5000), (("gzip",), 1000)])
async def test_what_is_small_or_not_wanted_packed_goes_as_it_is(accepted, size):
    answer = await packing.answer(request(*accepted), b"x" * size, "application/json")
    assert "content-encoding" not in answer.headers
    assert answer.body == b"x" * size
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_header_may_be_repeated():
    answer = await packing.answer(request("br", "gzip"), b"x" * 5000, "application/json")
    assert answer.headers["content-encoding"] == "gzip"
