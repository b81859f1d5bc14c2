import json

import pytest

from comity import errors
from comity.dsp import notice

GOOD = {"@type": "comity:SeenNotice", "@id": "urn:n"}


@pytest.mark.parametrize(
    ("address", "notices"),
    [
        ("https://a.example/dsp/2025-1", "https://a.example/comity/notices"),
        ("https://a.example/below/dsp/2025-1/", "https://a.example/below/comity/notices"),
        ("https://a.example/api/v1/dsp", ""),
        ("https://a.example/dsp/2025-1/more", ""),
    ],
)
def test_notices_go_beside_the_address_of_a_comity(address, notices):
    assert notice.address(address) == notices


def test_a_notice_and_its_answer_name_the_same_id():
    document = notice.decode(notice.encode(GOOD))
    assert notice.answer(document, {"more": 1})["@id"] == "urn:n"


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"@type": None}, "$.@type"),
        ({"@type": ["comity:SeenNotice"]}, "$.@type"),
        ({"@type": "SeenNotice"}, "$.@type"),
        ({"@type": "comity:Seen"}, "$.@type"),
        ({"@type": "comity:\0Notice"}, "$.@type"),
        ({"@type": f"comity:{'x' * 101}Notice"}, "$.@type"),
        ({"@id": ""}, "$.@id"),
        ({"@id": 7}, "$.@id"),
        ({"@id": "a\0b"}, "$.@id"),
        ({"@id": "x" * 1025}, "$.@id"),
    ],
)
def test_what_is_no_notice_is_refused_with_its_place(changed, place):
    with pytest.raises(errors.InvalidInputError) as refused:
        notice.decode(json.dumps({**GOOD, **changed}).encode())
    assert refused.value.path == place
