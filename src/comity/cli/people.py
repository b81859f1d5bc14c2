"""Partners as people name them: by name, DID, address, or the unique beginning of one of these.

Nothing is guessed: what could be two partners is an error that names both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from comity.client.choosing import identity
from comity.client.choosing import partner as choose

if TYPE_CHECKING:
    from comity.client.connector import Connector
    from comity.client.records import Participant

__all__ = ["called", "choose", "find", "identity", "named", "names"]


def find(connector: Connector, text: str) -> Participant:
    """Return the partner that a person means.

    Raises:
        NotFoundError: none on the list.
        InvalidInputError: it could be several.
    """
    return choose(connector.partners(), text)


def names(partners: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return participant id -> name, or the id again where two partners bear one name."""
    listed = [(identity(each), str(each.get("name") or "")) for each in partners]
    given = [name for _, name in listed]
    return {one: name if name and given.count(name) == 1 else one for one, name in listed}


def called(given: Mapping[str, str], participant_id: object) -> str:
    """Return `Name (did)`, or the id alone where there is no name."""
    name = given.get(str(participant_id or ""), "")
    return f"{name} ({participant_id})" if name and name != participant_id else str(participant_id or "")


def named(given: Mapping[str, str], text: str) -> str:
    """Return a sentence with the names of partners in the place of their ids."""
    for participant_id, name in sorted(given.items(), key=lambda each: -len(each[0])):
        text = text.replace(participant_id, name)
    return text
