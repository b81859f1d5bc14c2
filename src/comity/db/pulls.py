"""Rows of pulls: what is being fetched into which folder, and how far it has come.

What was received lies on the disk; a row says what is wanted and what to show.
"""

from __future__ import annotations

from msgspec import Struct

from comity.db.database import Transaction

WAITING, RUNNING, DONE, FAILED = "WAITING", "RUNNING", "DONE", "FAILED"


class Pull(Struct, frozen=True, kw_only=True):
    """The fetching of a transfer's data into the folder `destination`; sizes in bytes, codes of `errors`."""

    transfer_id: str
    destination: str
    state: str = WAITING
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    error: str = ""
    error_code: str = ""
    updated_at: int


class PullReady(Struct, frozen=True):
    """Announced after the commit: this transfer's data can be fetched."""

    transfer_id: str


_COLUMNS = ", ".join(Pull.__struct_fields__)
_FIND = f"SELECT {_COLUMNS} FROM pull WHERE transfer_id = ?1"
_OPEN = f"SELECT {_COLUMNS} FROM pull WHERE state IN ('WAITING', 'RUNNING') ORDER BY updated_at"
_SAVE = (
    f"INSERT INTO pull ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (transfer_id)"
    " DO UPDATE SET state = excluded.state,"
    " files_done = excluded.files_done, files_total = excluded.files_total, bytes_done = excluded.bytes_done,"
    " bytes_total = excluded.bytes_total, error = excluded.error, error_code = excluded.error_code,"
    " updated_at = excluded.updated_at"
)


async def find(tx: Transaction, transfer_id: str) -> Pull | None:
    """Return the pull of a transfer, or None when nothing is to be fetched."""
    row = await tx.one(_FIND, transfer_id)
    return _value(row) if row else None


async def find_open(tx: Transaction) -> list[Pull]:
    """Return the pulls that are not done yet."""
    return [_value(row) for row in await tx.all(_OPEN)]


async def save(tx: Transaction, pull: Pull) -> None:
    """Store a pull, new or changed."""
    await tx.run(_SAVE, *(getattr(pull, name) for name in Pull.__struct_fields__))


def _value(row: tuple[object, ...]) -> Pull:
    return Pull(**dict(zip(Pull.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]
