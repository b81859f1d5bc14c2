"""Two operands and a list of codes, as a package of one's own brings them to a connector."""

from datetime import UTC, datetime

from comity.odrl.codes import CodeList
from comity.odrl.operand import PROVIDER, Operand, Use


def is_office_hour(use: Use) -> str:
    """Say whether the use falls on a working hour (UTC)."""
    now = datetime.fromtimestamp(use.now_ms / 1000, UTC)
    return "yes" if now.weekday() < 5 and 8 <= now.hour < 18 else "no"


CLEARANCE = Operand(
    name="example:clearance",
    kind="text",
    enforced=PROVIDER,
    meaning="This provider checks before each agreement, transfer and request for data that it has seen the clearance.",
    source="the clearance that the list of partners states for the partner",
)

OFFICE_HOURS = Operand(
    name="example:officeHours",
    kind="text",
    enforced=PROVIDER,
    meaning="This provider hands out in office hours only.",
    source="the time at this connector",
    fact=is_office_hour,
)

COUNTRIES = CodeList(operand="spatial", broader={"DE": ("EU",), "FR": ("EU",), "EU": ("EUROPE",), "US": ()})
