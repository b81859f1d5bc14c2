"""Until when something is to be deleted."""

import pytest

from comity.controlplane import receipts
from comity.dsp.negotiation import Agreement

DAY_MS = 24 * 3600 * 1000
AT = 1_795_867_200_000  # 2026-11-28T12:00:00Z
END = {"leftOperand": "event", "operator": "eq", "rightOperand": "comity:agreementEnd"}


def agreement(obligation, permission=()):
    document = {
        "@id": "urn:a",
        "@type": "Agreement",
        "target": "urn:t",
        "assigner": "urn:p",
        "assignee": "urn:c",
        "permission": [{"action": "use", "constraint": list(permission)}],
        "obligation": obligation,
    }
    return Agreement(
        id="urn:a",
        negotiation_id="urn:n",
        role="consumer",
        counterparty_id="urn:p",
        provider_id="urn:p",
        consumer_id="urn:c",
        asset_id="urn:t",
        document=document,
        message_sha256="",
        created_at=0,
    )


def delete(*constraints):
    return [{"action": "delete", "constraint": list(constraints)}] if constraints else [{"action": "delete"}]


def until(operand, right):
    return {"leftOperand": operand, "operator": "lteq", "rightOperand": right}


@pytest.mark.parametrize(
    ("obligation", "permission", "due"),
    [
        ([], [], (False, None)),
        (delete(), [], (True, None)),
        (delete(until("elapsedTime", "P30D")), [], (True, AT + 30 * DAY_MS)),
        (delete(until("dateTime", "2026-11-29T12:00:00Z")), [], (True, AT + DAY_MS)),
        (
            delete(until("dateTime", "2026-11-29T12:00:00Z"), until("elapsedTime", "P30D")),
            [],
            (True, AT + DAY_MS),
        ),
        (delete(END), [], (True, None)),
        (delete(END), [until("dateTime", "2026-11-29T12:00:00Z")], (True, AT + DAY_MS)),
    ],
)
def test_the_earliest_time_that_an_agreement_names_counts(obligation, permission, due):
    assert receipts.due(agreement(obligation, permission), AT) == due


def test_without_an_agreement_nothing_is_to_be_deleted():
    assert receipts.due(None, AT) == (False, None)
