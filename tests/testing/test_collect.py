"""Stores of connectors that run are read at one moment, although one is read after the other."""

from comity.testing import collect, record


def side(name, *states):
    return record.Side(
        participant_id=name,
        events=tuple(
            record.Event(seq=at, id=str(at), at=at, subject="urn:x", number=at, state=state)
            for at, state in enumerate(states, 1)
        ),
    )


def reader(*found):
    left = list(found)

    async def read():
        return left.pop(0) if len(left) > 1 else left[0]

    return read


async def test_a_side_that_went_on_while_another_was_read_is_read_again():
    behind, ahead = side("provider", "STARTED"), side("provider", "STARTED", "COMPLETED")
    consumer = side("consumer", "STARTED", "COMPLETED")
    assert await collect.together(reader(behind, ahead), reader(consumer)) == (ahead, consumer)


async def test_sides_that_never_rest_are_returned_all_the_same(monkeypatch):
    monkeypatch.setattr(collect, "TOGETHER_S", 0.05)
    count = 0

    async def busy():
        nonlocal count
        count += 1
        return side("busy", *["STARTED"] * count)

    found = await collect.together(busy, reader(side("other")))
    assert found[0].participant_id == "busy"
