"""A table whose columns are the fields of a struct: rows become values and values rows; each module says what is asked.

Only what every table needs is here: the names of the columns, an INSERT, and rows found by a condition.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from comity.db.store import Row, Transaction

T = TypeVar("T", bound=Struct)


class Table(Generic[T]):
    """The table `name` of structs of a kind, a column for each field, in their order.

    `documents` are kept as JSON, `flags` as 0 or 1; `numbered` is the column that the store fills in. A field of
    `copies` has no column: it begins as another's value.
    """

    def __init__(  # noqa: PLR0913  each is said where a table has it
        self,
        name: str,
        kind: type[T],
        *,
        documents: Collection[str] = (),
        flags: Collection[str] = (),
        numbered: str = "",
        copies: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._kind, self._documents, self._flags, self._copies = kind, documents, flags, copies or {}
        self._writes: dict[str, Callable[[Any], Any]] = {
            **dict.fromkeys(documents, msgspec.json.encode),
            **dict.fromkeys(flags, int),
        }
        self._fields = tuple(field for field in kind.__struct_fields__ if field not in self._copies)
        self.columns = ", ".join(self._fields)
        self.select = f"SELECT {self.columns} FROM {name}"
        self._given = tuple(field for field in self._fields if field != numbered)
        places = ", ".join(f"?{at}" for at in range(1, len(self._given) + 1))
        self.insert = f"INSERT INTO {name} ({', '.join(self._given)}) VALUES ({places})"

    def upsert(self, key: str, *kept: str) -> str:
        """Return the SQL that inserts a row, or changes the one with its `key` in all columns that are not `kept`."""
        changed = [field for field in self._fields if field not in {key, *kept}]
        return f"{self.insert} ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{f} = excluded.{f}' for f in changed)}"

    def value(self, row: Row) -> T:
        """Return the value of a row."""
        fields: dict[str, Any] = dict(zip(self._fields, row, strict=True))
        for name in self._documents:
            fields[name] = msgspec.json.decode(fields[name])
        for name in self._flags:
            fields[name] = bool(fields[name])
        for name, other in self._copies.items():
            fields[name] = fields[other]
        return self._kind(**fields)

    def row(self, value: T) -> list[Any]:
        """Return what `insert` is given for a value."""
        return self.values(value, self._given)

    def values(self, value: T, columns: Iterable[str]) -> list[Any]:
        """Return some columns of a value, in that order."""
        writes = self._writes
        return [
            writes[name](getattr(value, name)) if name in writes else getattr(value, name) for name in columns
        ]

    async def one(self, tx: Transaction, rest: str, *values: Any) -> T | None:
        """Return the first value of the SELECT that ends with `rest`, or None."""
        row = await tx.one(f"{self.select} {rest}", *values)
        return self.value(row) if row else None

    async def all(self, tx: Transaction, rest: str, *values: Any) -> list[T]:
        """Return the values of the SELECT that ends with `rest`."""
        return [self.value(row) for row in await tx.all(f"{self.select} {rest}", *values)]
