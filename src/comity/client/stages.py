"""The stages from nothing to verified files, how far one has come, and the error that says where it ended.

finding: the partner, its asset and an offer. negotiating: the agreement. transferring: the partner is asked to hand it
over. receiving: bytes come, to your connector and from it into your folder. verifying: a hash does not hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comity import errors
from comity.client.records import Exchange, Offer

if TYPE_CHECKING:
    from comity.odrl.compare import Difference

FINDING, NEGOTIATING, TRANSFERRING, RECEIVING, VERIFYING = (
    "finding",
    "negotiating",
    "transferring",
    "receiving",
    "verifying",
)
_REFUSALS = frozenset({"delivery-refused", "illegal-message"})
BROKEN = frozenset({"hash-mismatch", "bad-content"})
STAGES = (FINDING, NEGOTIATING, TRANSFERRING, RECEIVING, VERIFYING)


class Progress(NamedTuple):
    """How far it has come; as text it is one line, so that `progress=print` is enough."""

    stage: str
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    note: str = ""

    def __str__(self) -> str:
        """Return it as a line."""
        said = [self.stage]
        if self.bytes_total:
            said.append(f"{self.bytes_done / self.bytes_total:.0%} of {self.bytes_total:,} bytes")
        if self.files_total:
            said.append(f"{self.files_done}/{self.files_total} files")
        return ", ".join([*said, *([self.note] if self.note else [])])


Told = Callable[[Progress], object]


def nobody(_: Progress) -> None:
    """Tell nobody."""


def once(tell: Told) -> Told:
    """Tell only what differs from what was told last."""
    last: list[Progress] = []

    def told(progress: Progress) -> None:
        if last != [progress]:
            last[:] = [progress]
            tell(progress)

    return told


class ExchangeError(errors.ComityError):
    """It was not got; `code` and `hint` are those of what went wrong.

    Attributes:
        stage: one of `STAGES`.
        reason: the partner's own words, empty where it said nothing.
        offered: what the partner offers, as far as it is known.
        accepted: the terms that were asked for or would have been taken; None where none were.
        differences: place by place, where `accepted` and the nearest of `offered` differ.
        ids: exchange, negotiation, agreement and transfer, those there are.
    """

    code = "exchange-failed"

    def __init__(  # noqa: PLR0913  what went wrong has these members
        self,
        message: str,
        *,
        stage: str,
        code: str = "",
        hint: str = "",
        reason: str = "",
        offered: Sequence[Offer] = (),
        accepted: Mapping[str, Any] | None = None,
        ids: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code or self.code
        self.stage = stage
        self.reason = reason
        self.offered = tuple(offered)
        self.accepted = accepted
        self.ids = dict(ids or {})
        self.differences: tuple[Difference, ...] = nearest(self.offered, accepted)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel between processes, as errors of jobs do."""
        return _again, (self.message, self.stage, self.__dict__)

    def __str__(self) -> str:
        """Return everything as lines."""
        lines = [f"{self.stage}: {self.message}"]
        lines += (
            [f"the partner said: {self.reason}"] if self.reason and self.reason not in self.message else []
        )
        for each in self.differences:
            offered, accepted = (said or "nothing" for said in each.terms)
            lines.append(f"{each.path}: offered is {offered}, accepted would be {accepted}")
        lines += [f"hint: {self.hint}"] if self.hint else []
        return "\n".join(lines + [f"{name}: {value}" for name, value in self.ids.items() if value])


def _again(message: str, stage: str, members: dict[str, Any]) -> ExchangeError:
    error = ExchangeError(message, stage=stage)
    error.__dict__.update(members)
    return error


def nearest(offered: Sequence[Offer], accepted: Mapping[str, Any] | None) -> tuple[Difference, ...]:
    """Return where the offer that differs least from the accepted terms differs from them; offered is on the left."""
    if accepted is None or not offered:
        return ()
    from comity.odrl import compare  # noqa: PLC0415  start-up time

    found = []
    for each in offered:
        try:
            found.append(compare.differences(each, accepted))
        except errors.InvalidInputError:
            continue
    return min(found, key=len, default=())


@contextlib.contextmanager
def at(stage: str, of: Mapping[str, str] | None = None) -> Iterator[None]:
    """Say of what goes wrong in which stage it was."""
    try:
        yield
    except ExchangeError:
        raise
    except errors.ComityError as error:
        reasons = "; ".join(getattr(error, "reasons", ()))
        raise ExchangeError(
            f"{error.message}: {reasons}" if reasons else error.message,
            stage=VERIFYING if error.code in BROKEN else stage,
            code=error.code,
            hint=error.hint,
            reason=error.message if error.code in _REFUSALS else "",
            ids=of,
        ) from error


def ids(status: Exchange) -> dict[str, str]:
    """Return the ids of what belongs to an exchange."""
    return {
        "exchange": status.id,
        "negotiation": status.negotiation_id,
        "agreement": status.agreement_id,
        "transfer": status.transfer_id,
    }
