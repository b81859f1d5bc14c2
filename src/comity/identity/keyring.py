"""Our signing keys over time: which are published, which one signs, and what a rotation and a retirement change.

Everything follows from the moments that stand beside each key, so there is no step that must run in time: a new key is
published at once and signs from a later moment on, when every partner has had time to see it; an old one leaves the DID
document when its grace is over. A retired key leaves at once. Public keys stay in the ring for ever, since tokens in
the evidence are checked with them. Times are milliseconds since 1970 UTC. Why so: docs/decisions/0014. Files:
`comity.storage.keys`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from comity import errors

FIRST: Final = "key-1"
LEAD_MS: Final = 330_000
"""From a new key's publication to its first signature: partners keep a document 300 s, and ask again every 30 s."""
GRACE_MS: Final = 24 * 3600 * 1000
MAX_MS: Final = 366 * 24 * 3600 * 1000
_NUMBERED = re.compile(r"key-([0-9]{1,9})")


class Key(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A key of ours: `kid` is the fragment of its id, `jwk` its public half.

    It signs from `signs_from` on while no newer one does. It leaves the DID document at `leaves_at`, None if it is to
    stay; `retired_at` is when it was taken out at once.
    """

    kid: str
    jwk: dict[str, Any]
    created_at: int = 0
    signs_from: int = 0
    leaves_at: int | None = None
    retired_at: int | None = None

    def published(self, now_ms: int) -> bool:
        """Return whether the DID document has it."""
        return self.retired_at is None and (self.leaves_at is None or now_ms < self.leaves_at)


class Keyring(Struct, frozen=True):
    """Every key there ever was, in the order in which they were made."""

    keys: tuple[Key, ...]

    def published(self, now_ms: int) -> list[Key]:
        """Return the keys of the DID document."""
        return [each for each in self.keys if each.published(now_ms)]

    def signing(self, now_ms: int) -> Key:
        """Return the key that signs: the newest whose time has come; if none's has (a clock was set back), the oldest.

        Raises:
            SettingsError: there is no key left.
        """
        published = self.published(now_ms)
        if not published:
            raise errors.SettingsError(
                "no signing key is left", hint="put back keys/keyring.json from a backup"
            )
        ready = [each for each in published if each.signs_from <= now_ms]
        if ready:
            return max(ready, key=lambda each: each.signs_from)
        return min(published, key=lambda each: each.signs_from)

    def waiting(self, now_ms: int) -> Key | None:
        """Return the key that is published and does not sign yet, if there is one."""
        return next((each for each in self.published(now_ms) if each.signs_from > now_ms), None)

    def next_kid(self) -> str:
        """Return the name of the next key: numbers go up, none is used again."""
        numbers = [int(found[1]) for each in self.keys if (found := _NUMBERED.fullmatch(each.kid))]
        return f"key-{max(numbers, default=0) + 1}"

    def find(self, kid: str) -> Key:
        """Return a key by its kid, or its whole id.

        Raises:
            NotFoundError: there is none.
        """
        fragment = kid.rpartition("#")[2]
        for each in self.keys:
            if each.kid == fragment:
                return each
        names = ", ".join(each.kid for each in self.keys)
        raise errors.NotFoundError(f"there is no key {kid[:100]!r}", hint=f"there are: {names}")


def check_rotation(ring: Keyring, *, now_ms: int, lead_ms: int, grace_ms: int) -> None:
    """Refuse a rotation while one is under way, or with times that would break exchanges.

    Raises:
        ConflictError: a key waits for its time already.
        InvalidInputError: a time is out of range.
    """
    waiting = ring.waiting(now_ms)
    if waiting is not None:
        left_s = (waiting.signs_from - now_ms) // 1000 + 1
        raise errors.ConflictError(
            f"{waiting.kid} is published and will sign in {left_s} s: this rotation is not over",
            hint="wait for it; a key that was stolen is taken out with: comity identity retire KID",
        )
    for name, value in (("lead", lead_ms), ("grace", grace_ms)):
        if not 0 <= value <= MAX_MS:
            raise errors.InvalidInputError(f"{name} must be 0 to {MAX_MS // 1000} s", path=f"$.{name}Seconds")


def rotated(ring: Keyring, jwk: dict[str, Any], *, now_ms: int, lead_ms: int, grace_ms: int) -> Keyring:
    """Return the ring with a new key that signs after `lead_ms`; the others leave `grace_ms` after that."""
    signs_from = now_ms + lead_ms
    leaves_at = signs_from + grace_ms
    old = [
        replace(each, leaves_at=leaves_at if each.leaves_at is None else min(each.leaves_at, leaves_at))
        if each.published(now_ms)
        else each
        for each in ring.keys
    ]
    new = Key(
        kid=ring.next_kid(), jwk={**jwk, "kid": ring.next_kid()}, created_at=now_ms, signs_from=signs_from
    )
    return Keyring((*old, new))


def retired(ring: Keyring, kid: str, *, now_ms: int) -> Keyring:
    """Return the ring without a key in its document from now on; a key that has left already stays as it is.

    If only one is left that waits for its time, its time has come.

    Raises:
        NotFoundError: there is no such key.
    """
    gone = ring.find(kid)
    marked = replace(gone, retired_at=now_ms) if gone.published(now_ms) else gone
    left = Keyring(tuple(marked if each is gone else each for each in ring.keys))
    published = left.published(now_ms)
    if not published or left.signing(now_ms).signs_from <= now_ms:
        return left
    early = left.signing(now_ms)  # it waited for its time, and signs now since no other is left
    return Keyring(tuple(replace(each, signs_from=now_ms) if each is early else each for each in left.keys))


def successor_lead(ring: Keyring, kid: str, *, now_ms: int) -> int | None:
    """Return after how long a new key is to sign if `kid` is retired; None if the ring needs no new one.

    One that stays is good for signing meanwhile only if partners know it: it is out of its lead, and stays long enough.
    """
    left = retired(ring, kid, now_ms=now_ms)
    if any(each.leaves_at is None for each in left.published(now_ms)):
        return None
    known = [
        each
        for each in left.published(now_ms)
        if each.signs_from <= now_ms and (each.leaves_at or 0) > now_ms + LEAD_MS
    ]
    return LEAD_MS if known else 0
