"""Queries of the management API on a table: what SQL can decide exactly is decided there, the rest row by row.

A `Listing` says which fields of a document are columns. Criteria and order on those become SQL, so that a page of 50 of
50,000 rows loads 50; any other is looked at in Python while rows go by, with never more in memory than the page wanted
and what comes before it. Both ways give the same answer: `management.query` says which.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from msgspec import Struct, structs

from comity.db.store import Row, Transaction
from comity.management import query
from comity.management.operators import plain, text
from comity.management.processes import ON_ITS_WAY

Document = dict[str, Any]
Write = Callable[[Row], Awaitable[Document]]
MAX_LISTED = 200
MAX_WHOLE = 2**53  # up to here SQL and Python compare numbers alike
_COMPARED = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_LISTED = {"in": "IN", "not in": "NOT IN"}


class Column(Struct, frozen=True):
    """The SQL of a field: of a text, or of a whole number that is always there."""

    sql: str
    number: bool = False


class Listing(Struct, frozen=True):
    """A table as queries see it: which rows (`where`), what is selected of each, and the fields that are columns.

    `age` is the order of creation, without directions; `name` is the column that makes it one of its kind.
    """

    table: str
    select: str
    columns: Mapping[str, Column]
    where: str = ""
    age: str = "created_at"
    name: str = "id"

    async def find(self, tx: Transaction, spec: query.Spec, write: Write) -> list[Document]:
        """Return the page of documents that a query with resolved names asks for; `write` makes one of a row."""
        sql, values, rest = self._split(spec)
        if rest.criteria or rest.sort_field:
            async with aclosing(tx.each(sql, *values)) as rows:
                return await _page(rows, write, rest)
        at = len(values)
        paged = f"{sql} LIMIT ?{at + 1} OFFSET ?{at + 2}"
        return [await write(row) for row in await tx.all(paged, *values, spec.limit, spec.offset)]

    def _split(self, spec: query.Spec) -> tuple[str, list[Any], query.Spec]:
        """Return the SQL of what columns decide, its values, and the query that is left for Python."""
        values: list[Any] = []
        wheres, left = [self.where] if self.where else [], []
        for each in spec.criteria:
            column = self.columns.get(each["operandLeft"])
            condition = _condition(column, each["operator"], each["operandRight"], values) if column else ""
            if condition:
                wheres.append(condition)
            else:
                left.append(each)
        order = self.columns.get(spec.sort_field)
        sql = f"SELECT {self.select} FROM {self.table}"
        sql += f" WHERE {' AND '.join(wheres)}" if wheres else ""
        sql += f" ORDER BY {self._order(order, descending=spec.descending)}"
        rest = structs.replace(spec, criteria=tuple(left), sort_field="" if order else spec.sort_field)
        return sql, values, rest

    def _order(self, column: Column | None, *, descending: bool) -> str:
        listed = [self.age, self.name]
        if column is not None and column.sql not in listed:
            listed.insert(0, column.sql if column.number else f"coalesce({column.sql}, '')")
        elif column is not None and column.sql == self.name:
            listed = [self.name]
        return ", ".join(f"{each} DESC" if descending else each for each in listed)


def _condition(column: Column, operator: str, right: Any, values: list[Any]) -> str:
    """Return the SQL of a criterion, its values added to `values`; an empty text if only Python decides it exactly."""
    listed = operator in _LISTED
    wanted = [_value(column, each) for each in (right if listed else [right])]
    ordered = operator in {"<", "<=", ">", ">="}
    if None in wanted or not 0 < len(wanted) <= MAX_LISTED or (ordered and not column.number):
        return ""
    if not listed and operator not in _COMPARED:
        return ""
    places = [f"?{len(values) + at}" for at in range(1, len(wanted) + 1)]
    values.extend(wanted)
    if listed:
        return f"{column.sql} {_LISTED[operator]} ({', '.join(places)})"
    return f"{column.sql} {_COMPARED[operator]} {places[0]}"


def _value(column: Column, right: Any) -> int | str | None:
    """Return a wanted value as a column has it, None where the two do not compare in SQL as they do in Python."""
    right = plain(right)
    if column.number:
        whole = isinstance(right, int) and not isinstance(right, bool) and abs(right) < MAX_WHOLE
        return right if whole else None
    written = text(right) if isinstance(right, str | int | float) else None
    return written if written is not None and written.isprintable() else None  # no half surrogate pairs


async def _page(rows: AsyncGenerator[Row, None], write: Write, rest: query.Spec) -> list[Document]:
    """Return the page of what matches, from rows in their order; where they have another one, of the best so far."""
    most = rest.offset + rest.limit
    found: list[Document] = []
    skipped = 0
    async for row in rows:
        document = await write(row)
        if not query.matches_all(rest.criteria, document):
            continue
        if rest.sort_field:
            found.append(document)
            if len(found) >= 2 * most + query.MAX_LIMIT:
                _keep_best(found, rest, most)
        elif skipped < rest.offset:
            skipped += 1
        else:
            found.append(document)
            if len(found) == rest.limit:
                return found
    if rest.sort_field:
        _keep_best(found, rest, most)
        return found[rest.offset :]
    return found


def _keep_best(found: list[Document], rest: query.Spec, most: int) -> None:
    """Sort, what is equal in the order in which it came, and drop what no page up to the wanted one has."""
    found.sort(key=lambda each: query.sort_key(each, rest.sort_field), reverse=rest.descending)
    del found[most:]


def intent(table: str, column: str) -> str:
    """Return the SQL of a column of the last message of a process that is still on its way; null if there is none."""
    return (
        f"(SELECT {column} FROM outbox WHERE process_id = {table}.id AND implied = 0"
        " ORDER BY outbox.id DESC LIMIT 1)"
    )


def shown_state(table: str) -> Column:
    """Return the state of a process as it is shown; `management.processes.state` says the same of one record."""
    names = " ".join(f"WHEN '{state}' THEN '{shown}'" for state, shown in ON_ITS_WAY.items())
    leads_to = intent(table, "leads_to")
    return Column(f"coalesce(CASE nullif({leads_to}, coalesce(state, '')) {names} END, state, 'INITIAL')")
