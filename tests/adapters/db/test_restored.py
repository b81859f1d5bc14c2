"""What is kept of a restore: how much a partner may make up of it."""

from comity.db import restored


def finding(party, number):
    return restored.Finding(
        kind="negotiation",
        process_id=f"urn:{number}",
        counterparty_id=party,
        verdict=restored.FORGOTTEN,
        held=False,
    )


async def test_one_partner_takes_no_room_from_another(store, monkeypatch):
    monkeypatch.setattr(restored, "MOST_FORGOTTEN", 3)

    async def said(party, count):
        return [
            await store.write(lambda tx, at=at: restored.add_forgotten(tx, finding(party, at)))
            for at in range(count)
        ]

    assert await said("did:web:mallory", 5) == [True] * 3 + [False] * 2
    assert await said("did:web:beta", 2) == [True] * 2
    assert len(await store.read(restored.find_all)) == 5
