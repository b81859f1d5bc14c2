import pytest

from comity import errors
from comity.dsp import carried

PACKAGE = {
    "@type": carried.PACKAGE,
    "agreementId": "urn:agreement",
    "agreement": {"@id": "urn:agreement"},
    "providerPid": "urn:provider",
    "consumerPid": "urn:consumer",
    "assetId": "release-7",
    "comity:manifestSha256": "0" * 64,
    "comity:manifestBytes": 10,
    "comity:files": 1,
    "dcat:byteSize": 5,
    "comity:time": "2026-11-28T22:00:00.000Z",
}


def test_a_code_is_read_however_it_was_typed():
    secret = bytes(range(16))
    code = carried.show_code(secret)
    assert (len(code), code.count("-")) == (32, 6)
    assert carried.read_code(code) == secret
    assert carried.read_code(code.lower().replace("-", " ").replace("o", "0").replace("i", "1")) == secret


@pytest.mark.parametrize("text", ["", "ABC", "A" * 27, "A" * 25 + "8", "A" * 25 + "ä"])
def test_what_is_no_code_is_refused(text):
    with pytest.raises(errors.InvalidInputError, match="a code has 26 letters and digits"):
        carried.read_code(text)


def test_the_consumers_id_follows_from_the_provider_s_and_from_both_parties():
    made = carried.consumer_pid("did:web:a", "urn:1", "did:web:b")
    assert made == carried.consumer_pid("did:web:a", "urn:1", "did:web:b")
    assert made.startswith("urn:uuid:")
    assert (len(made), made[23], made[28]) == (45, "8", made[28])
    others = [("did:web:a", "urn:2", "did:web:b"), ("did:web:b", "urn:1", "did:web:a")]
    assert made not in {carried.consumer_pid(*each) for each in others}


def test_the_notice_of_a_package_is_read_back_as_it_was():
    found = carried.read_package(PACKAGE)
    assert carried.read_package(found.document()) == found


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("@type", "comity:DeliveryReceiptNotice", "$.@type"),
        ("comity:manifestSha256", "zz", "manifestSha256"),
        ("agreement", "no object", "agreement"),
        ("comity:files", -1, "files"),
        ("dcat:byteSize", "5", "byteSize"),
    ],
)
def test_what_is_no_notice_of_a_package_is_refused_with_its_place(name, value, place):
    with pytest.raises(errors.InvalidInputError) as caught:
        carried.read_package({**PACKAGE, name: value})
    assert place in caught.value.path


def test_an_agreement_is_compared_whatever_the_order_of_its_members():
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert carried.agreement_digest(one) == carried.agreement_digest(other)
    assert carried.agreement_digest(one) != carried.agreement_digest({**one, "a": 2})
