"""Every message in every state, in either role, from everybody who can send it: each cell of the machine, once.

A process is brought into each situation (a state, with or without a message of ours on its way), then gets each
message from nobody, a stranger, another partner and the partner. What the partner's message does is the model's cell,
the others change nothing; and docs/reference/machine-cells.md shows what was run. COMITY_WRITE_CELLS=1 writes it anew.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import NamedTuple

import pytest

from hostile import machine_model as models
from hostile.machine_world import Play, World, seen
from support import wire

COUNT = "SELECT (SELECT count(*) FROM negotiation), (SELECT count(*) FROM transfer)"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "machine-cells.md"
KINDS = ["negotiation", "transfer"]
ROLES = [models.PROVIDER, models.CONSUMER]
SUSPENSION = "suspension"


class Situation(NamedTuple):
    """A state of a process, who suspended it, and our message on its way, if there is one."""

    state: str | None
    by: str = ""
    message: str = ""
    coming: str | None = None

    def __str__(self) -> str:
        begun = self.state or "(not answered yet)"
        held = f" by the {self.by}" if self.by else ""
        return f"{begun}{held}" + (f", our {self.message} on its way" if self.message else "")


def situations(kind: str, role: str) -> list[Situation]:
    """All that a process of this kind can be in, where we have this role."""
    steps = models.STEPS[kind]
    first = [each for (state, by, each) in steps if state is None and by == role]
    found = [Situation(None, "", each, steps[(None, role, each)]) for each in first]
    for state in models.STATES[kind]:
        for by in [models.CONSUMER, models.PROVIDER] if state == "SUSPENDED" else [""]:
            found.append(Situation(state, by))
            for message in models.MOVES[kind]:
                kept = by == models.PROVIDER and role == models.CONSUMER and message == "start"
                if (state, role, message) in steps and not kept:
                    found.append(Situation(state, by, message, steps[(state, role, message)]))
    return found


def way(kind: str, state: str, role: str) -> list[tuple[str, str]]:
    """The shortest way into a state: who sends which message."""
    waiting: deque[tuple[str | None, list[tuple[str, str]]]] = deque([(None, [])])
    while waiting:
        here, sent = waiting.popleft()
        if here == state:
            return sent
        for (before, by, message), after in models.STEPS[kind].items():
            if before == here and (kind, role, before, by) != ("transfer", models.PROVIDER, None, role):
                waiting.append((after, [*sent, (by, message)]))
    raise AssertionError(state)


async def brought(world: World, kind: str, role: str, situation: Situation) -> Play:
    """A new process in a situation."""
    play = Play(world, kind, role)
    sent = way(kind, situation.state or models.STATES[kind][0], role) if situation.state else []
    if situation.by:
        sent = [*way(kind, "STARTED", role), (situation.by, SUSPENSION)]
    if not sent:
        await play.begin_here()
    for by, message in sent:
        if by != role:
            if play.id:
                assert (await play.send(message))[0] == 200
            else:
                assert (await play.begin_there(*play.first())).status == 201
        elif play.id:
            assert await play.move(message)
        else:
            await play.begin_here()
        await world.settle()
        if by == role:
            await world.acknowledge(world.site.sendings[-1], play.pid)
            await world.settle()
    if situation.message and situation.state:
        assert await play.move(situation.message)
    return play


async def stands(world: World, play: Play) -> tuple[object, ...]:
    """What is stored of a process."""
    rows = [row for row in await world.settle() if row.process_id == play.id]
    count = await world.site.rows("SELECT count(*) FROM agreement WHERE negotiation_id = ?1", play.id)
    return await world.site.state(play.id), rows, count


async def run_cell(
    world: World, kind: str, role: str, situation: Situation, message: str
) -> dict[str, tuple[int, str | None]]:
    """Send one message from everybody; what each was answered, after the store was looked at."""
    play = await brought(world, kind, role, situation)
    before = await stands(world, play)
    assert before[0] == situation.state
    assert [row.leads_to for row in before[1]] == [each for each in [situation.coming] if each]
    found = {}
    for sender in reversed(models.SENDERS):
        document = play.document(message)
        answer = await world.send(sender, play.path(message, play.id), document)
        found[sender] = seen(answer)
        after = await stands(world, play)
        if answer.status == 200:
            assert after[0] == found[sender][1]
        else:
            assert after == before
    await world.answer_all()  # a connector sends a partner 32 messages at once, no more
    return found


async def run_without(world: World, kind: str, role: str, message: str) -> dict[str, tuple[int, str | None]]:
    """Send one message for no process from everybody; what the partner's begins, others' of strangers never do."""
    found = {}
    for sender in reversed(models.SENDERS):
        play = Play(world, kind, role)
        before = await world.site.rows(COUNT)
        if (kind, None, models.other(role), message) in {(kind, *each) for each in models.STEPS[kind]}:
            first = {**play.first()[1], "callbackAddress": world.partner.dsp}
            answer = await world.send(sender, play.path(message, ""), first)
        else:
            play.id = wire.new_id()
            answer = await world.send(sender, play.path(message, play.id), play.document(message))
        found[sender] = seen(answer)
        assert (await world.site.rows(COUNT) != before) == (answer.status == 201)
    await world.answer_all()
    return found


def without(kind: str, role: str, message: str, sender: str) -> tuple[int, str | None]:
    """What a message does where there is no process."""
    stopped = models.stopped(kind, message, sender)
    after = models.STEPS[kind].get((None, models.other(role), message))
    if after is None:
        return (stopped or 404), None
    if sender in models.SENDERS[2:]:
        return 401, None
    if kind == "transfer" and sender != "the partner":
        return 400, None  # it has no such agreement
    return 201, after


def cell(found: tuple[int, str | None]) -> str:
    return f"**{found[1]}**" if found[0] < 300 else str(found[0])


@pytest.mark.timeout(300)
def test_every_cell_of_the_machine_does_what_the_model_says_and_the_page_shows_it(template):
    world = World(template)
    world.open()
    text, cells = [], 0
    try:
        for kind in KINDS:
            for role in ROLES:
                text += [f"## A {kind} in which we are the {role}", ""]
                text += ["| | " + " | ".join(f"{each}" for each in models.MESSAGES[kind]) + " |"]
                text += ["|---" * (len(models.MESSAGES[kind]) + 1) + "|"]
                row = []
                for message in models.MESSAGES[kind]:
                    found = world.run(run_without(world, kind, role, message))
                    assert found == {each: without(kind, role, message, each) for each in models.SENDERS}, (
                        message
                    )
                    cells += len(found)
                    row.append(cell(found["the partner"]))
                text.append(f"| (no process) | {' | '.join(row)} |")
                for situation in situations(kind, role):
                    row = []
                    for message in models.MESSAGES[kind]:
                        found = world.run(run_cell(world, kind, role, situation, message))
                        for sender, answer in found.items():
                            wanted = models.expected(kind, role, situation, message, sender)
                            assert answer == wanted, (kind, role, str(situation), message, sender)
                            cells += 1
                        row.append(cell(found["the partner"]))
                    text.append(f"| {situation} | {' | '.join(row)} |")
                text.append("")
        world.close()
    finally:
        world.end()
    page = "\n".join([HEAD.format(cells=f"{cells:,}"), *text])
    if "COMITY_WRITE_CELLS" in os.environ:
        PAGE.write_text(page)
    assert PAGE.read_text() == page, (
        "write it anew with: COMITY_WRITE_CELLS=1 make test ARGS=tests/hostile/test_machine_cells.py"
    )


HEAD = """\
# Every message in every state

What each message of a partner does to a process, in whatever state it is: the new state, or the status of the refusal,
after which nothing is changed. Rows are the states of a process at our side, with or without a message of ours that the
partner has not acknowledged; columns are the messages that come. The table was run, {cells} cells in all, each
against a connector, and compared with a model written from the specification; the test writes this page
(`tests/hostile/test_machine_cells.py`).

The same cells were run for three other senders, and change nothing. Another partner, whose token is as good as the
partner's, gets 404 whatever the state; a stranger who is on no list, and whoever sends no token, get 401. Another
partner can begin a process of its own only. (A transfer that is there has no endpoint for a request: 404 for all.)

- 400: the protocol does not allow it now; the answer says what is allowed.
- 404: our role has no such endpoint.
- 503: it met a message of ours, and nobody can tell which came first; sent again it is taken or refused.
"""
