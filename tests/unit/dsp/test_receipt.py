import pytest

from comity import errors
from comity.dsp import receipt

GOOD = {
    "@type": receipt.DELIVERY,
    "agreementId": "urn:a",
    "providerPid": "urn:p",
    "consumerPid": "urn:c",
    "comity:manifestSha256": "0" * 64,
    "comity:files": 2,
    "dcat:byteSize": 5005,
    "comity:time": "2026-11-28T12:00:00.000Z",
}
AT = 1_795_867_200_000


def test_a_receipt_is_read_as_it_was_written():
    said, at = receipt.read(GOOD)
    assert (said.document(), receipt.moment(at), at) == (GOOD, GOOD["comity:time"], AT)


def test_a_time_with_another_offset_is_the_same_moment():
    assert receipt.read({**GOOD, "comity:time": "2026-11-28T13:00:00+01:00"})[1] == AT


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"comity:manifestSha256": "0" * 63}, "$.comity:manifestSha256"),
        ({"comity:manifestSha256": "G" * 64}, "$.comity:manifestSha256"),
        ({"comity:manifestSha256": None}, "$"),
        ({"comity:files": "2"}, "$.comity:files"),
        ({"dcat:byteSize": 2**60}, "$.dcat:byteSize"),
        ({"agreementId": ""}, "$.agreementId"),
        ({"comity:time": "yesterday"}, "$.comity:time"),
        ({"comity:time": "9999-12-31T23:59:59-23:59"}, "$.comity:time"),
        ({"comity:by": ["alice"]}, "$.comity:by"),
        ({"comity:by": "al\0ice"}, "$.comity:by"),
    ],
)
def test_what_is_no_receipt_is_refused_with_its_place(changed, place):
    with pytest.raises(errors.InvalidInputError) as refused:
        receipt.read({**GOOD, **changed})
    assert refused.value.path == place
