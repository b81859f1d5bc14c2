"""What a stored policy would do: whether it could be published today, and how each of its terms is evaluated.

The forms and the words are `management.plans`'; nothing is evaluated here, `offering.judge` does that.
"""

from __future__ import annotations

from typing import Any

from comity.controlplane.connector import Connector
from comity.db import offers
from comity.db.offers import PolicyDefinition
from comity.management import plans

Document = dict[str, Any]


async def validate(connector: Connector, name: str) -> Document:
    """Return whether every term of a policy definition is one that is enforced here, and which is not.

    Raises:
        NotFoundError: there is none with this id.
    """
    return plans.encode_validation(plans.validate((await _load(connector, name)).policy))


async def plan(connector: Connector, name: str, scope: str) -> Document:
    """Return how a policy definition is evaluated in a scope.

    Raises:
        NotFoundError: there is none with this id.
    """
    return plans.encode_plan(name, (await _load(connector, name)).policy, scope)


async def _load(connector: Connector, name: str) -> PolicyDefinition:
    return await connector.database.read(lambda tx: offers.load(tx, PolicyDefinition, name))
