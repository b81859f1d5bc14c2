"""The public keys of a bundle: whose they are, which of them were told apart from it, and which a signature is of.

A bundle alone cannot prove whose key is whose. So whoever checks it may pin keys: then no other key of that participant
counts. All others are shown by their thumbprints, to be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw, Struct

from comity import errors
from comity.evidence.bundle import BundleError, PublicKey, Where, take
from comity.identity import jose

Pins = Mapping[str, frozenset[str]]
"""Participant -> the thumbprints (RFC 7638) of its keys that count."""


class Holder(Struct, frozen=True):
    """A key of the bundle, ready to verify, and whose it is."""

    participant_id: str
    kid: str
    thumbprint: str
    seen_at: int
    pinned: bool
    jwk: dict[str, object]
    key: jose.PublicKey


class Keys:
    """The keys of a bundle, by their ids; an id may have had several keys over time."""

    def __init__(self, listed: Sequence[Raw], parties: frozenset[str], pins: Pins) -> None:
        self.holders = [
            _holder(take(raw, PublicKey, where), where, parties, pins)
            for raw, where in (
                (raw, Where(f"key {at + 1}", f"$.keys[{at}]")) for at, raw in enumerate(listed)
            )
        ]
        self.used: set[str] = set()
        self._by_kid: dict[str, list[Holder]] = {}
        for each in self.holders:
            self._by_kid.setdefault(each.kid, []).append(each)
        twice = [each for each in self._by_kid.values() if len({one.thumbprint for one in each}) < len(each)]
        if twice:
            raise BundleError(f"the key {twice[0][0].kid[:200]} is listed twice", "$.keys")

    def of(self, participant_id: str) -> list[Holder]:
        """Return the keys of a participant."""
        return [each for each in self.holders if each.participant_id == participant_id]

    def signer(self, kid: str, message: bytes, signature: bytes) -> Holder | None:
        """Return the key with this id whose signature this is, or None."""
        found = next((each for each in self._by_kid.get(kid, ()) if each.key.holds(message, signature)), None)
        if found is not None:
            self.used.add(found.thumbprint)
        return found

    def knows(self, kid: str) -> bool:
        """Return whether there is a key with this id."""
        return kid in self._by_kid


def _holder(key: PublicKey, where: Where, parties: frozenset[str], pins: Pins) -> Holder:
    where, owner = where.of(f" ({key.kid[:200]})", ""), key.participant_id
    if owner not in parties:
        raise where.error(f" is of {owner[:200]}, who is no party to this agreement")
    if key.kid.partition("#")[0] != owner or key.jwk.get("kid") != key.kid:
        raise where.error(f" is not named after its owner {owner[:200]}")
    try:
        public = jose.public_key(key.jwk)
    except errors.IdentityError as error:
        raise where.error(f": {error.message}", ".jwk") from None
    thumbprint = public.key.thumbprint()
    pinned = pins.get(owner)
    if pinned is not None and thumbprint not in pinned:
        raise where.error(
            f" has the thumbprint {thumbprint}, which is none of those that you named for its owner"
        )
    return Holder(owner, key.kid, thumbprint, key.seen_at, pinned is not None, key.jwk, public)
