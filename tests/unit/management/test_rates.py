"""How many bytes a second, as people write it."""

import pytest

from comity.errors import InvalidInputError
from comity.management import rates


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [
        ("", 0),
        ("5MB/s", 5_000_000),
        ("5 MB/s", 5_000_000),
        ("800kB/s", 800_000),
        ("800 kB", 800_000),
        ("1.5MiB/s", 1_572_864),
        ("1G", 10**9),
        ("20000", 20_000),
    ],
)
def test_a_rate_is_read_as_people_write_it(text, bytes_per_s):
    assert rates.parse(text) == bytes_per_s


@pytest.mark.parametrize("text", ["fast", "-1", "5MB/h", "5mbit", "1e6", "9" * 50, "1kB/s", "0.1B/s", "0"])
def test_what_is_no_rate_or_too_slow_is_refused_with_its_place(text):
    with pytest.raises(InvalidInputError) as caught:
        rates.parse(text, "$.limit")
    assert caught.value.path == "$.limit"
