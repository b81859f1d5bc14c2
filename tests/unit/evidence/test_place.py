import json
import re

import pytest

from comity.evidence.place import path_at

TEXT = b'{"a":[1,{"b":"x,]\\"y","c":2}],"d":{"e":"f"},"g":""}'


@pytest.mark.parametrize(
    ("mark", "path"),
    [
        (b"1,{", "$.a[0]"),
        (b"x,]", "$.a[1].b"),
        (b'\\"y', "$.a[1].b"),
        (b"2}", "$.a[1].c"),
        (b'"d"', "$.d"),
        (b'f"', "$.d.e"),
        (b'"g"', "$.g"),
    ],
)
def test_a_byte_has_the_path_of_what_it_stands_in(mark, path):
    assert path_at(TEXT, TEXT.index(mark)) == path


def test_a_text_that_breaks_off_has_a_path_to_its_end():
    for end in range(len(TEXT)):
        assert path_at(TEXT[:end], end).startswith("$")


def test_every_path_leads_to_what_is_there():
    for found in re.finditer(rb'[:\[,](?=[0-9"])', TEXT):
        value = json.loads(TEXT)
        for step in re.findall(r"\.(\w)|\[(\d)\]", path_at(TEXT, found.end())):
            value = value[step[0] or int(step[1])]
