import pytest

from comity import errors
from comity.management import deletions


def test_an_order_names_a_transfer_or_an_agreement():
    assert deletions.decode({"transferId": "urn:t"}) == deletions.Order("urn:t", by_hand=False)
    assert deletions.decode({"agreementId": "urn:a", "byHand": True}) == deletions.Order(
        "urn:a", by_hand=True
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"transferId": "urn:t", "agreementId": "urn:a"},
        {"transferId": 7},
        {"transferId": "t", "byHand": "yes"},
    ],
)
def test_another_order_is_refused(body):
    with pytest.raises(errors.InvalidInputError):
        deletions.decode(body)


@pytest.mark.parametrize(
    ("due_at", "deleted_at", "state"),
    [(None, None, "OPEN"), (11, None, "OPEN"), (9, None, "OVERDUE"), (9, 10, "DELETED")],
)
def test_a_deletion_is_open_overdue_or_done(due_at, deleted_at, state):
    assert deletions.state(due_at, deleted_at, 10) == state
