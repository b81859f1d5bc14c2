"""Whose keys count, while partners change."""

import asyncio
from contextlib import suppress
from hashlib import sha256

import msgspec
import pytest

from comity import errors
from comity.controlplane import trust
from comity.db import partners, public_keys
from comity.db.partners import PartnersChanged
from comity.identity import http_signature, jose, token

US, THEM = "did:web:us.example", "did:web:them.example"
NOW_S = 1_800_000_000
EMPTY = sha256(b"").hexdigest()


class SlowStore:
    """A store whose reads show what was there when they began, and end when they are let go."""

    def __init__(self, partner):
        self.partner = partner
        self.go_on = asyncio.Event()
        self.reading = asyncio.Event()

    def subscribe(self, listener):
        self.listener = listener

    async def read(self, unit):
        del unit
        found = self.partner
        self.reading.set()
        await self.go_on.wait()
        return found

    def change(self, partner):
        self.partner = partner
        self.listener([PartnersChanged()])


def pinned(key):
    return partners.Partner(
        id=THEM, name="", address="", keys=[key.public_jwk()], pinned=True, attributes={}, created_at=0
    )


async def test_a_key_that_was_replaced_while_it_was_looked_up_is_not_kept():
    old, new = [jose.SigningKey.generate(f"{THEM}#{name}") for name in ("old", "new")]
    store = SlowStore(pinned(old))
    tokens = trust.Tokens(
        US,
        lambda: jose.SigningKey.generate(f"{US}#key"),
        resolver=None,
        database=store,
        now_s=lambda: NOW_S,
        new_jti=lambda: "x",
    )

    async def caller(key):
        issued = token.issue(key, issuer=THEM, audience=US, jti="j", now_s=NOW_S)
        return await tokens.caller(f"Bearer {issued}", "GET", "/", b"")

    begun = asyncio.create_task(caller(old))
    await store.reading.wait()
    store.change(pinned(new))
    store.go_on.set()
    with suppress(errors.IdentityError):
        await begun
    with pytest.raises(errors.IdentityError, match="pinned here"):
        await caller(old)
    assert (await caller(new)).participant_id == THEM


async def test_keys_that_a_partner_makes_up_by_the_thousand_are_not_all_remembered(monkeypatch):
    monkeypatch.setattr(trust, "MOST_KEPT", 3)
    store = SlowStore(None)
    tokens = trust.Tokens(
        US, lambda: None, resolver=None, database=store, now_s=lambda: NOW_S, new_jti=lambda: "x"
    )
    for number in range(10):
        store.listener([public_keys.PublicKeyKept(f"{THEM}#{number}", b"{}")])
    assert f"{THEM}#9" in tokens._kept
    assert len(tokens._kept) <= 3


class Away:
    """A resolver that cannot tell anything now."""

    async def keys(self, did, kid):
        raise errors.TransientDeliveryError(f"the document of {did} cannot be had")


@pytest.mark.parametrize("has_to_sign", [False, True])
async def test_an_answer_of_a_partner_whose_keys_cannot_be_told_counts_as_not_signed(has_to_sign):
    ours, theirs = jose.SigningKey.generate(f"{US}#key-1"), jose.SigningKey.generate(f"{THEM}#key-1")
    known = msgspec.structs.replace(pinned(theirs), pinned=False, signed=has_to_sign)
    store = SlowStore(known)
    store.go_on.set()
    tokens = trust.Tokens(
        US,
        lambda: ours,
        resolver=Away(),
        database=store,
        now_s=lambda: NOW_S,
        new_jti=lambda: "x",
    )
    attempt = tokens.attempt(THEM, "POST", "https://them.example/x", b"{}")
    lines = http_signature.reply_lines(200, EMPTY, "POST", "https://them.example/x", attempt.sha256)
    made = http_signature.sign(theirs, theirs.kid, http_signature.REPLY, lines, created=NOW_S)
    taking = attempt.take(200, http_signature.fields(made, EMPTY), b"")
    if has_to_sign:
        with pytest.raises(errors.TransientDeliveryError, match="has to sign"):
            await taking
        return
    await taking
    assert attempt.reply.note.startswith("not checked: the keys of did:web:them.example")
    assert attempt.reply.signature == made.text
    assert attempt.key is None
