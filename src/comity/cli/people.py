"""Partners as people name them: by name, DID, address, or the unique beginning of one of these.

Nothing is guessed: what could be two partners is an error that names both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from comity import errors

if TYPE_CHECKING:
    from comity.client.connector import Connector

Document = dict[str, Any]
_ADD = "comity partner list shows your partners; put one on the list with: comity partner add <did or url>"


def find(connector: Connector, text: str) -> Document:
    """Return the partner that a person means.

    Raises:
        NotFoundError: none on the list.
        InvalidInputError: it could be several.
    """
    return choose(connector.partners(), text)


def choose(partners: list[Document], text: str) -> Document:
    """Return the one of `partners` that `text` names, exactly or by its beginning."""
    for matches in (_is, _begins):
        found = [each for each in partners if matches(each, text)]
        if len(found) == 1:
            return found[0]
        if found:
            raise errors.InvalidInputError(
                f"{text} could be {len(found)} partners",
                hint=f"give one of: {', '.join(map(identity, found))}",
            )
    raise errors.NotFoundError(f"there is no partner {text} on the list", hint=_ADD)


def identity(partner: Mapping[str, Any]) -> str:
    """Return a partner's participant id."""
    return str(partner.get("@id") or partner.get("id") or "")


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


def _is(partner: Document, text: str) -> bool:
    address = str(partner.get("address") or "")
    wanted = text.rstrip("/")
    reached = wanted.startswith(("http://", "https://")) and (
        address == wanted or address.startswith(f"{wanted}/") or identity(partner) == _did(wanted)
    )
    return reached or identity(partner) == text or str(partner.get("name")).casefold() == text.casefold()


def _begins(partner: Document, text: str) -> bool:
    host = identity(partner).removeprefix("did:web:")
    return bool(text) and (
        identity(partner).startswith(text)
        or host.startswith(text)
        or str(partner.get("name") or "").casefold().startswith(text.casefold())
    )


def _did(address: str) -> str:
    from comity.identity import did  # noqa: PLC0415  start-up time

    try:
        return did.format_did_web(address)
    except errors.IdentityError:
        return ""
