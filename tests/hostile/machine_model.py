"""What the specification lets a connector do: a reference model of one negotiation or transfer, in either role.

Written from the Dataspace Protocol 2025-1 ("Contract Negotiation Protocol", "Transfer Process Protocol") and from what
docs/reference/protocol.md and docs/decisions 0004 to 0006 say about messages that are on their way; nothing of the
code under test is used. `Model.receive`, `move`, `acknowledged` and `refused` are what can happen to a process; each
changes the model, and the first two say what is to be seen. `expected` is one cell of the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CONSUMER, PROVIDER = "consumer", "provider"
TERMINATION, TERMINATED, COMPLETED = "termination", "TERMINATED", "COMPLETED"
FINAL = {"FINALIZED", COMPLETED, TERMINATED}
STATES = {
    "negotiation": ["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", TERMINATED],
    "transfer": ["REQUESTED", "STARTED", "SUSPENDED", COMPLETED, TERMINATED],
}
DIAGRAMS = {
    "negotiation": """
        -          consumer  request       REQUESTED
        -          provider  offer         OFFERED
        REQUESTED  provider  offer         OFFERED
        REQUESTED  provider  agreement     AGREED
        OFFERED    consumer  request       REQUESTED
        OFFERED    consumer  accepted      ACCEPTED
        ACCEPTED   provider  agreement     AGREED
        AGREED     consumer  verification  VERIFIED
        VERIFIED   provider  finalized     FINALIZED""",
    "transfer": """
        -          consumer  request       REQUESTED
        REQUESTED  provider  start         STARTED
        STARTED    provider  start         STARTED
        STARTED    either    suspension    SUSPENDED
        STARTED    either    completion    COMPLETED
        SUSPENDED  either    start         STARTED""",
}
PAUSES = [{"STARTED", "SUSPENDED"}, {"SUSPENDED"}]
"""Where a start meets a suspension, or a suspension another one, in a transfer that runs."""
AT = {"request": PROVIDER, "offer": CONSUMER, "agreement": CONSUMER, "verification": PROVIDER}
"""Messages with an endpoint in one role only: which one."""
MESSAGES = {
    "negotiation": ["request", "offer", "accepted", "agreement", "verification", "finalized", TERMINATION],
    "transfer": ["request", "start", "suspension", "completion", TERMINATION],
}
MOVES = {
    "negotiation": ["request", "offer", "accepted", "agreement", "verification", "finalized", TERMINATION],
    "transfer": ["start", "suspension", "completion", TERMINATION],
}


def _read(kind: str) -> dict[tuple[str | None, str, str], str]:
    steps = {}
    for line in DIAGRAMS[kind].split("\n")[1:]:
        before, by, message, after = line.split()
        for sender in (CONSUMER, PROVIDER) if by == "either" else (by,):
            steps[(None if before == "-" else before, sender, message)] = after
    for state in STATES[kind]:  # "may be sent at any state"
        if state not in FINAL:
            steps |= {(state, sender, TERMINATION): TERMINATED for sender in (CONSUMER, PROVIDER)}
    return steps


STEPS = {kind: _read(kind) for kind in DIAGRAMS}


def other(role: str) -> str:
    return CONSUMER if role == PROVIDER else PROVIDER


@dataclass(eq=False)
class Row:
    """A message of ours that is not acknowledged; `shown`: the partner's next message showed that it has it."""

    message: str
    leads_to: str
    before: str | None = None
    after: Row | None = None
    shown: bool = False


@dataclass(eq=False)
class Model:
    """One process. `policy`: our connector makes its own moves; `terms` is the offer on the table, one of two."""

    kind: str
    role: str
    state: str | None = None
    known: bool = False
    """Whether the partner's id of the process is known."""
    terms: str = "ours"
    policy: bool = False
    rows: list[Row] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)
    """Messages that were withdrawn while they were on the wire."""
    agreements: int = 0
    held_by: str = ""
    addressed: bool = False
    taken: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    last: bytes = b""

    @property
    def open(self) -> list[Row]:
        return [row for row in self.rows if not row.shown]

    @property
    def coming(self) -> str | None:
        return self.open[-1].leads_to if self.open else None

    def receive(
        self, message: str, body: bytes, name: str | None, *, fault: bool = False, **brings: str
    ) -> tuple[int, str | None]:
        """The partner sends `message`; `name` is its `@id`, `fault` says that its content is wrong."""
        if AT.get(message, self.role) != self.role:
            return 404, None
        if name in self.taken:
            before, answer = self.taken[name]
            return (200, answer) if before == body else (400, None)
        status, after, shown = self._step(message)
        if status == 400 and body == self.last:
            return 200, self.state
        resumes = (self.kind, message, self.role) == ("transfer", "start", PROVIDER)
        if status == 200 and (fault or (resumes and self.held_by == PROVIDER)):
            status = 400
        if status != 200:
            return status, None
        if shown:
            self.open[0].shown = True
        else:
            self._withdraw(self.open)
        self.known, self.state, self.last = True, after, body
        if name is not None:
            self.taken[name] = body, after
        self.terms = brings.get("terms", self.terms)
        self.agreements += message == "agreement"
        self._note(message, other(self.role))
        if resumes:
            self._send("start", "STARTED")
        self._go_on()
        return 200, after

    def _note(self, message: str, by: str) -> None:
        """Who holds a transfer: a suspension of the provider's is ended by the provider."""
        if message == "suspension":
            self.held_by = PROVIDER if self.held_by == PROVIDER else by
        if message == "start":
            self.held_by, self.addressed = "", True

    def _step(self, message: str) -> tuple[int, str, bool]:
        """Whether a message is taken now, what it leads to, and whether it shows that the partner has ours."""
        steps, by = STEPS[self.kind], other(self.role)
        here, there = (at and steps.get((at, by, message)) for at in (self.state, self.coming))
        if here == TERMINATED:
            return 200, here, False
        if self.state == "STARTED" and {here, self.coming} in PAUSES:
            return 503, "", False  # nobody can tell which came first
        if there:
            return 200, there, there != TERMINATED
        if here and self.coming == COMPLETED and here not in FINAL:
            return 503, "", False
        return (200, here, False) if here and self.coming != TERMINATED else (400, "", False)

    def begun(self, message: str, body: bytes) -> None:
        """The process begins with a message of the partner's."""
        self.known, self.last = True, body
        self.state = STEPS[self.kind][(None, other(self.role), message)]
        self._go_on(first=True)

    def begin_here(self) -> bool:
        """Our operator begins the process."""
        return self.move("request" if self.role == CONSUMER else "offer")

    def move(self, message: str, **brings: str) -> bool:
        """Our operator wants `message` sent; whether that is possible now."""
        if message == TERMINATION and not self.known:
            return self._end()
        after = STEPS[self.kind].get((self.coming or self.state, self.role, message))
        waits = self.coming is not None and message != TERMINATION
        kept = (self.kind, message, self.role, self.held_by) == ("transfer", "start", CONSUMER, PROVIDER)
        if waits or kept or after is None:
            return False
        self._send(message, after)
        self.terms = brings.get("terms", self.terms)
        return True

    def _send(self, message: str, after: str) -> None:
        self.rows.append(Row(message, after, self.state, self.open[-1] if self.open else None))
        self.agreements += message == "agreement"
        if message == "suspension":
            self.held_by = PROVIDER if self.held_by == PROVIDER else self.role
        if message == "start" and self.role == PROVIDER:
            self.held_by = ""

    def _withdraw(self, rows: list[Row]) -> None:
        self.gone += [row for row in rows if row.after is None]
        self.rows = [row for row in self.rows if row not in rows]

    def _end(self) -> bool:
        if self.state in FINAL:
            return False
        self._withdraw(self.rows)
        self.state = TERMINATED
        return True

    def _forget(self, row: Row) -> None:
        self.rows.remove(row)
        for each in self.rows:
            each.after = None if each.after is row else each.after

    def acknowledged(self, row: Row) -> None:
        """The partner answers 200 to a message of ours, and to a first one with its id of the process."""
        if row in self.gone:
            self.gone.remove(row)
            if not self.known and self.state == TERMINATED:  # it hears now that this has ended
                self._send(TERMINATION, TERMINATED)
            self.known = True
            return
        self._forget(row)
        self.known = True
        if not row.shown:
            self.state = row.leads_to
            self._go_on()

    def refused(self, row: Row, *, reachable: bool = True) -> None:
        """The partner answers 400 to a message of ours, or is away (not `reachable`) for 72 hours."""
        if row in self.gone:
            self.gone.remove(row)
            return
        others = [each for each in self.open if each is not row]
        if row.shown or self.state in FINAL or (reachable and others):
            self._forget(row)
        elif row.leads_to == TERMINATED or not reachable or not self.known:
            self._end()
            self.gone.remove(row)
        else:
            self._forget(row)
            self._send(TERMINATION, TERMINATED)

    def _go_on(self, *, first: bool = False) -> None:
        """What a connector does by itself: verify, agree, finalize, start (docs/reference/protocol.md, "Endpoints")."""
        if not self.policy or self.open or self.state in FINAL:
            return
        answer = (
            "agreement"
            if self.terms == "ours" or self.state == "ACCEPTED"
            else "offer"
            if first
            else TERMINATION
        )
        by_itself = {
            ("negotiation", CONSUMER, "AGREED"): "verification",
            ("negotiation", PROVIDER, "VERIFIED"): "finalized",
            ("negotiation", PROVIDER, "REQUESTED"): answer,
            ("negotiation", PROVIDER, "ACCEPTED"): answer,
            ("transfer", PROVIDER, "REQUESTED"): "start",
        }
        message = by_itself.get((self.kind, self.role, self.state))
        if message is not None:
            self.move(message, terms="ours")


SENDERS = ["the partner", "another partner", "a stranger", "nobody"]


def expected(kind: str, role: str, situation: Any, message: str, sender: str) -> tuple[int, str | None]:
    """What one message does to a process in a situation (state, who suspended it, what is on its way)."""
    if status := stopped(kind, message, sender):
        return status, None
    model = Model(kind, role, situation.state, known=situation.state is not None, held_by=situation.by)
    if situation.message:
        model.state = situation.state
        model._send(situation.message, situation.coming)
    return model.receive(message, b"new", "new")


def stopped(kind: str, message: str, sender: str) -> int:
    """The status for who has no right to a process, and for a message that no process takes; else 0."""
    if (kind, message) == ("transfer", "request"):
        return 404
    return {"the partner": 0, "another partner": 404}.get(sender, 401)
