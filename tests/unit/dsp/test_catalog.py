import pytest

from comity import errors
from comity.dsp import catalog, messages, terms

POLICY = {"@id": "p", "@type": "Set", "permission": [{"action": "use"}], "obligation": [], "dct:title": "x"}
DSP = "https://a.example/dsp/2025-1"


@pytest.mark.parametrize("asset_id", ["asset", "a:b/c é", "", "urn:comity:offer:x", "\x00"])
def test_an_offer_id_says_what_it_names(asset_id):
    named = catalog.OfferId("definition", asset_id, "0a1b")
    text = catalog.format_offer_id(named)
    assert text.startswith("urn:comity:offer:")
    assert catalog.parse_offer_id(text) == named


@pytest.mark.parametrize(
    "text",
    [
        "",
        "urn:uuid:1",
        "urn:comity:offer:",
        "urn:comity:offer:YQ:YQ",
        "urn:comity:offer:YQ:YQ:x:y",
        "urn:comity:offer:é:YQ:x",
        "urn:comity:offer:a:YQ:x",
        "urn:comity:offer:YQ==:YQ:x",
        "urn:comity:offer:Y Q:YQ:x",
        "urn:comity:offer:YR:YQ:x",
        "urn:comity:offer:_w:YQ:x",  # the byte 0xff
        " urn:comity:offer:YQ:YQ:x",
    ],
)
def test_an_id_that_is_not_ours_to_the_letter_names_nothing(text):
    assert catalog.parse_offer_id(text) is None


def test_an_offer_in_a_catalog_has_no_target_and_the_terms_as_they_are():
    found = catalog.offer({**POLICY, "target": "asset"}, "urn:o")
    said = {name: POLICY[name] for name in POLICY if name in {"permission", "dct:title", "x"}}
    assert found == {"@id": "urn:o", "@type": "Offer", **said}
    assert found["permission"] is POLICY["permission"]


def test_a_dataset_carries_its_properties_but_never_ones_that_would_stand_in_for_ours():
    properties = {"dct:title": "T", "@id": "other", "@type": "x", "hasPolicy": [], "distribution": "x"}
    found = catalog.dataset("asset", properties, [{"@id": "urn:o"}], DSP)
    assert found["@id"] == "asset"
    assert found["@type"] == "Dataset"
    assert found["dct:title"] == "T"
    assert found["hasPolicy"] == [{"@id": "urn:o"}]
    assert found["distribution"][0]["format"] == "HttpData-PULL"
    assert found["distribution"][0]["accessService"]["endpointURL"] == DSP


def test_a_catalog_names_participant_and_service_and_is_without_datasets_when_empty():
    empty = catalog.catalog("did:web:a", "urn:c", [], DSP)
    assert empty == {
        "@context": [terms.CONTEXT],
        "@id": "urn:c",
        "@type": "Catalog",
        "participantId": "did:web:a",
        "service": [{"@id": "urn:comity:service:dsp", "@type": "DataService", "endpointURL": DSP}],
    }
    assert catalog.catalog("did:web:a", "urn:c", [{"@id": "d"}], DSP)["dataset"] == [{"@id": "d"}]
    assert empty["@context"] == messages.CONTEXT


@pytest.mark.parametrize(
    ("document", "ids"),
    [
        ({}, []),
        ({"dataset": None}, []),
        ({"dataset": []}, []),
        ({"dataset": [{"@id": "a"}, {"@id": "b"}]}, ["a", "b"]),
        ({"dataset": {"@id": "a"}}, ["a"]),
        ({"dcat:dataset": {"@id": "a"}}, ["a"]),
    ],
)
def test_the_datasets_of_a_partners_catalog_are_read_one_or_many(document, ids):
    assert [each["@id"] for each in catalog.read_datasets(document)] == ids


@pytest.mark.parametrize(
    "listed", ["x", 1, [None], [{}], [{"@id": 1}], [[{"@id": "a"}]], [{"@id": "a"}, "b"]]
)
def test_what_is_no_dataset_is_refused(listed):
    with pytest.raises(errors.InvalidInputError) as caught:
        catalog.read_datasets({"dataset": listed})
    assert caught.value.path == "$.dataset"


@pytest.mark.parametrize(
    ("written", "formats"),
    [
        ({}, set()),
        (
            {"distribution": [{"format": "HttpData-PULL"}, {"format": "HttpData-PUSH"}]},
            {"HttpData-PULL", "HttpData-PUSH"},
        ),
        ({"distribution": {"format": "HttpData-PUSH"}}, {"HttpData-PUSH"}),
        ({"dcat:distribution": [{"dct:format": {"@id": "HttpData-PUSH"}}]}, {"HttpData-PUSH"}),
        ({"distribution": ["x", None, {"format": 3}, {"format": {"@id": 4}}]}, set()),
    ],
)
def test_formats_of_a_dataset_are_read_in_the_spellings_of_others(written, formats):
    assert catalog.formats(written) == formats
