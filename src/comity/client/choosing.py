"""Partners, assets and offers as people name them: whole, or by a beginning that only one has.

Nothing is guessed: what could be two is an error that names both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from comity import errors
from comity.client.records import Asset, Offer

D = TypeVar("D", bound=Mapping[str, Any])
ADD = "comity partner list shows your partners; put one on the list with: comity partner add <did or url>"


Policies = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Wanted(NamedTuple):
    """What is wanted of whom, for what and for whom, and under which terms (empty: the first offer's).

    `revision` is 0 for the newest that is released.
    """

    partner: str
    asset: str
    purpose: str = ""
    person: str = ""
    nationality: tuple[str, ...] = ()
    accepted: tuple[Mapping[str, Any], ...] = ()
    revision: int = 0

    @property
    def access(self) -> dict[str, Any]:
        """Who opens it, and what for."""
        return {"purpose": self.purpose, "person": self.person, "nationality": list(self.nationality)}


def accepted(policies: Policies) -> tuple[Mapping[str, Any], ...]:
    """Return the policies that somebody accepts, one or several, as several; None accepts the first offer.

    Raises:
        InvalidInputError: it is no policy and no list of them, or an empty list, which would accept nothing.
    """
    if policies is None:
        return ()
    several = (policies,) if isinstance(policies, Mapping) else policies
    if not (isinstance(several, Sequence) and several and all(isinstance(each, Mapping) for each in several)):
        raise errors.InvalidInputError(
            "accept must be a policy or a list of policies", hint="leave it out to take the first offer"
        )
    return tuple(several)


def partner(partners: Sequence[D], text: str, *, whole: bool = False) -> D:
    """Return the one of `partners` that `text` names by name, DID or address, `whole` or by its beginning.

    Raises:
        NotFoundError: none on the list.
        InvalidInputError: it could be several.
    """
    for matches in (_is,) if whole else (_is, _begins):
        found = [each for each in partners if matches(each, text)]
        if len(found) == 1:
            return found[0]
        if found:
            raise errors.InvalidInputError(
                f"{text} could be {len(found)} partners",
                hint=f"give one of: {', '.join(map(identity, found))}",
            )
    raise errors.NotFoundError(f"there is no partner {text} on the list", hint=ADD)


def identity(found: Mapping[str, Any]) -> str:
    """Return a partner's participant id."""
    return str(found.get("@id") or found.get("id") or "")


def asset(assets: Sequence[Asset], text: str) -> Asset:
    """Return the asset that `text` names by id or title.

    Raises:
        NotFoundError: none of them.
        InvalidInputError: it could be several.
    """
    by_id = {each.id: each for each in assets}
    name = text if text in by_id else titled({name: each.title for name, each in by_id.items()}, text)
    if name:
        return by_id[name]
    found = [
        each for each in by_id if text and (each.startswith(text) or each.rpartition(":")[2].startswith(text))
    ]
    if len(found) == 1:
        return by_id[found[0]]
    if found:
        raise errors.InvalidInputError(
            f"{text} could be {len(found)} assets", hint=f"give one of: {', '.join(found[:5])}"
        )
    raise errors.NotFoundError(
        f"the partner offers no {text}", hint="its catalog says what it offers to you, which may change"
    )


def titled(titles: Mapping[str, str], text: str) -> str:
    """Return the id of the one with this title, or with a title that begins so, else nothing."""
    wanted = text.casefold()
    for matches in (str.__eq__, str.startswith):
        found = [name for name, title in titles.items() if wanted and matches(title.casefold(), wanted)]
        if len(found) == 1:
            return found[0]
    return ""


def offer(offers: Sequence[Offer], accepted: Sequence[Mapping[str, Any]]) -> Offer | None:
    """Return the first offer, or the first whose terms are the same as some that are accepted."""
    if not accepted:
        return offers[0] if offers else None
    from comity.odrl import compare  # noqa: PLC0415  start-up time

    for each in offers:
        for wanted in accepted:
            try:
                if compare.same(each, wanted):
                    return each
            except errors.InvalidInputError as error:
                raise errors.InvalidInputError(f"accept: {error.message}", path=error.path) from None
    return None


def _is(found: Mapping[str, Any], text: str) -> bool:
    address = str(found.get("address") or "")
    wanted = text.rstrip("/")
    reached = wanted.startswith(("http://", "https://")) and (
        address == wanted or address.startswith(f"{wanted}/") or identity(found) == _did(wanted)
    )
    named = text in {identity(found), identity(found).removeprefix("did:web:")}
    return reached or named or str(found.get("name")).casefold() == text.casefold()


def _begins(found: Mapping[str, Any], text: str) -> bool:
    host = identity(found).removeprefix("did:web:")
    return bool(text) and (
        identity(found).startswith(text)
        or host.startswith(text)
        or str(found.get("name") or "").casefold().startswith(text.casefold())
    )


def _did(address: str) -> str:
    from comity.identity import did  # noqa: PLC0415  start-up time

    try:
        return did.format_did_web(address)
    except errors.IdentityError:
        return ""
