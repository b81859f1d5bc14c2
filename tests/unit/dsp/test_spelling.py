"""Names in other spellings, further contexts, earlier versions: what is the same, what is ambiguous."""

import pytest

from comity import errors
from comity.dsp import negotiation, spelling, terms

FULL = terms.NAMESPACE
ODRL = "http://www.w3.org/ns/odrl/2/"
CX = "https://w3id.org/catenax/2025/9/policy/context.jsonld"
INLINE = {"cx": "https://w3id.org/catenax/policy/"}
RULES = {"permission": [{"action": "use"}]}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"a": 1}, {"a": 1}),
        ({"dspace:consumerPid": "c"}, {"consumerPid": "c"}),
        ({FULL + "consumerPid": "c"}, {"consumerPid": "c"}),
        ({"consumerPid": None, "dspace:consumerPid": "c"}, {"consumerPid": "c"}),
        (
            {"offer": {"odrl:permission": [], ODRL + "target": "a"}},
            {"offer": {"permission": [], "target": "a"}},
        ),
        ({"agreement": {"odrl:assigner": "a", "x:y": 1}}, {"agreement": {"assigner": "a", "x:y": 1}}),
        ({"offer": "text", "x:offer": {}}, {"offer": "text", "x:offer": {}}),
        ({"a": None}, {}),
    ],
)
def test_names_are_read_in_three_spellings(written, found):
    assert spelling.plain(written) == found


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ({"consumerPid": "a", "dspace:consumerPid": "b"}, "$.consumerPid"),
        ({"consumerPid": "a", "dspace:consumerPid": "a"}, "$.consumerPid"),
        ({"dspace:state": "a", FULL + "state": "b"}, "$.state"),
        ({"offer": {"permission": [], "odrl:permission": []}}, "$.offer.permission"),
        ({"agreement": {"odrl:target": "a", ODRL + "target": "b"}}, "$.agreement.target"),
        ({"offer": {}, "dspace:offer": {}}, "$.offer"),
    ],
)
def test_a_name_in_two_spellings_is_refused_with_its_place(written, path):
    with pytest.raises(errors.InvalidInputError, match="twice, in two spellings") as caught:
        spelling.plain(written)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("document", "version"),
    [
        ({"@context": "https://w3id.org/dspace/2024/1/context.json"}, "2024-1"),
        ({"@context": ["https://w3id.org/dspace/2024/1/context.json", "https://x.example"]}, "2024-1"),
        ({"@context": {"dspace": "https://w3id.org/dspace/v0.8/"}}, "0.8"),
        ({"@context": [{"@vocab": "https://w3id.org/dspace/v0.8/"}]}, "0.8"),
        ({"https://w3id.org/dspace/2024/1/consumerPid": [{"@value": "c"}]}, "2024-1"),
        ({"@type": "https://w3id.org/dspace/v0.8/CatalogRequestMessage"}, "0.8"),
        ({"dspace:consumerPid": "c"}, "2024-1 or 0.8"),
        ({"@context": [terms.CONTEXT, "https://w3id.org/dspace/2024/1/context.json"]}, "2024-1"),
        ({"@context": [terms.CONTEXT], "dspace:consumerPid": "c"}, ""),
        ({"@context": terms.CONTEXT, "text": "https://w3id.org/dspace/2024/1/"}, ""),
        ({"@context": {"dspace": FULL}, "dspace:consumerPid": "c"}, ""),
        ({"@context": [None, 3, {"a": 1}, []]}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_an_earlier_version_is_known_by_its_names(document, version):
    assert spelling.earlier(document) == version


@pytest.mark.parametrize(
    ("context", "found"),
    [
        (None, []),
        (terms.CONTEXT, []),
        ([terms.CONTEXT], []),
        (["a", terms.CONTEXT, "b", INLINE, "", None], ["a", "b", INLINE]),
        (INLINE, [INLINE]),
    ],
)
def test_what_a_context_names_further_is_kept_in_its_order(context, found):
    assert spelling.further(context) == found


def test_a_policy_takes_its_further_contexts_with_it_and_a_message_carries_them_as_texts():
    kept = spelling.within({"@id": "o", "@context": INLINE}, [terms.CONTEXT, CX])
    assert kept == {"@id": "o", "@context": [CX, INLINE]}
    assert spelling.sent(kept) == ([terms.CONTEXT, CX], {"@id": "o", "@context": [INLINE]})
    assert spelling.sent(spelling.within({"@id": "o"}, [CX, CX])) == ([terms.CONTEXT, CX], {"@id": "o"})
    assert spelling.within(RULES, [terms.CONTEXT]) is RULES
    assert spelling.sent(RULES) == ([terms.CONTEXT], RULES)


@pytest.mark.parametrize(
    ("asked", "own", "agreed"),
    [
        ({"dct:title": "T"}, {"dct:title": "T"}, {"dct:title": "T"}),
        (
            {"http://purl.org/dc/terms/title": "T"},
            {"dct:title": "T"},
            {"http://purl.org/dc/terms/title": "T"},
        ),
        ({"dct:title": {"@value": "T"}}, {"dct:title": "T"}, {"dct:title": {"@value": "T"}}),
        ({"dct:title": ["T"]}, {"dct:title": "T"}, {"dct:title": ["T"]}),
        ({"dct:title": "all is free"}, {"dct:title": "T"}, {}),
        ({"x:alsoPermits": "all"}, {}, {}),
        ({}, {"dct:title": "T"}, {}),
    ],
)
def test_of_what_a_consumer_adds_only_our_own_words_are_agreed_to(asked, own, agreed):
    assert negotiation.repeated({**RULES, **asked}, own) == {**RULES, **agreed}
