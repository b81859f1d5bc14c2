"""Units side by side in one transaction: a statement that several of them wait for is executed once, for all of them.

A round trip costs the server and us far more than a row does. So units of different processes (`store.OfProcess`)
are run until each waits for a statement; the text that most of them wait for is executed with all their values, and
those go on. Which rows belong to whom is told by a number that each unit's values have (`_n` of `_given`). How a text
is rewritten by its form, and why what comes of it is the same as one after the other, is in docs/decisions/0015.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from comity.db import postgres_connection as connections
from comity.db.postgres_connection import Connection
from comity.db.postgres_unit import Running, Statement
from comity.db.store import Row

SETTINGS = (
    "SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    " SET enable_material = off"
)
"""A plan is made once, perhaps while a table is still empty: it has to be one that looks rows up by their keys."""
_GIVEN = "unnest({}) WITH ORDINALITY AS _given ({}, _n)"
_PLACE = re.compile(r"\?(\d+)")
_SELECT = re.compile(r"SELECT .*\bWHERE\b.*", re.DOTALL)
_UPDATE = re.compile(
    r"(UPDATE \w+ SET (?:(?!\bFROM\b|\bSELECT\b).)*) WHERE ((?:(?!\bSELECT\b).)*)", re.DOTALL
)
_DELETE = re.compile(r"(DELETE FROM \w+) WHERE ((?:(?!\bSELECT\b).)*)", re.DOTALL)
_EQUAL = re.compile(r"(\w+) = \?(\d+)")
_PLAIN = re.compile(r"[\w.]+ (?:(?:=|<>) (?:'[^']*'|\d+)|IS(?: NOT)? NULL)")
_INSERT = re.compile(
    r"(INSERT INTO \w+ \(([\w, ]+)\)) VALUES \(([?\d, ]+)\)"
    r"( ON CONFLICT(?: \([\w, ]+\))? DO NOTHING)?( RETURNING id)?"
)


class _Batch:
    """One text, rewritten for the values of several statements; it takes as many as a statement has."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    async def execute(self, connection: Connection, statements: Sequence[Statement]) -> list[Any]:
        """Execute them all and return what each of their methods would have returned."""
        columns = [list(column) for column in zip(*(each.values for each in statements), strict=True)]
        records = await connection.fetch(self.sql, *columns)
        return await self._share([tuple(each) for each in records], statements)

    async def _share(self, rows: list[Row], statements: Sequence[Statement]) -> list[Any]:
        """Return what is whose: of rows that begin with the number of their statement."""
        found: list[list[Row]] = [[] for _ in statements]
        for row in rows:
            found[row[0] - 1].append(row[1:])
        return [_shaped(each, own) for each, own in zip(statements, found, strict=True)]


class _Changing(_Batch):
    """A change of the rows that the values at the places of `key` name: other values name other rows."""

    def __init__(self, sql: str, key: Sequence[int]) -> None:
        super().__init__(sql)
        self._key = key

    async def execute(self, connection: Connection, statements: Sequence[Statement]) -> list[Any]:
        """The same; who means the same rows comes after the other, for a statement changes a row only once."""
        turns: dict[tuple[Any, ...], list[int]] = {}
        for at, each in enumerate(statements):
            turns.setdefault(tuple(each.values[place - 1] for place in self._key), []).append(at)
        results: list[Any] = [None] * len(statements)
        for turn in itertools.zip_longest(*turns.values()):
            here = [at for at in turn if at is not None]
            done = await super().execute(connection, [statements[at] for at in here])
            for at, result in zip(here, done, strict=True):
                results[at] = result
        return results


class _Inserting(_Batch):
    async def _share(self, rows: list[Row], statements: Sequence[Statement]) -> list[Any]:
        """All of them were inserted; what they return came in the order of the values."""
        found = sorted(rows) or [()] * len(statements)
        return [_shaped(each, [own]) for each, own in zip(statements, found, strict=True)]


class _InsertingSome(_Batch):
    async def _share(self, rows: list[Row], statements: Sequence[Statement]) -> list[Any]:
        """Those whose values came back were inserted; of equal ones the first."""
        results = []
        for each in statements:
            own = tuple(each.values)
            inserted = own in rows
            if inserted:
                rows.remove(own)
            results.append(_shaped(each, [own] if inserted else []))
        return results


def _shaped(statement: Statement, rows: list[Row]) -> Any:
    return statement.shape(rows) if statement.shape else rows


def _key_of(change: str, condition: str) -> tuple[int, ...]:
    """Return the places of the values that say which rows a change means, none if others may mean some of the same.

    That is sure where values are compared for equality only, with columns that the change leaves as they are.
    """
    key = []
    for part in re.split(r"\s+AND\s+", condition):
        if match := _EQUAL.fullmatch(part):
            if not re.search(rf"\b{match[1]} = ", change):
                key.append(int(match[2]))
        elif "?" in part or not _PLAIN.fullmatch(part):
            return ()
    return tuple(key)


def rewritten(sql: str, types: Sequence[str]) -> _Batch | None:
    """Return a text (with ?1) for many values at once, of `types`, or None if it has no form that is known."""
    arrays = ", ".join(f"${at}::{name}[]" for at, name in enumerate(types, 1))
    given = _GIVEN.format(arrays, ", ".join(f"_{at}" for at in range(1, len(types) + 1)))

    def placed(part: str) -> str:
        return _PLACE.sub(r"_given._\1", part)

    if _SELECT.fullmatch(sql):
        return _Batch(f"SELECT _n, _found.* FROM {given} CROSS JOIN LATERAL ({placed(sql)}) AS _found")
    if (match := _UPDATE.fullmatch(sql)) and (key := _key_of(*match.groups())):
        return _Changing(f"{placed(match[1])} FROM {given} WHERE {placed(match[2])} RETURNING _n", key)
    if (match := _DELETE.fullmatch(sql)) and (key := _key_of(*match.groups())):
        return _Changing(f"{match[1]} USING {given} WHERE {placed(match[2])} RETURNING _n", key)
    if match := _INSERT.fullmatch(sql):
        into, columns, places, conflict, returning = match.groups(default="")
        text = f"{into} SELECT {placed(places)} FROM {given} ORDER BY _n{conflict}"
        if not conflict:
            return _Inserting(text + returning)
        if not returning and places == ", ".join(f"?{at}" for at in range(1, len(types) + 1)):
            return _InsertingSome(f"{text} RETURNING {columns}")
    return None


class Batches:
    """The texts of one connection, rewritten when several units want them for the first time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, _Batch | None] = {}

    async def execute(self, statements: Sequence[Statement]) -> list[Any]:
        """Execute statements with one text and return what each of their methods would have returned."""
        sql = statements[0].sql
        if (
            len(statements) > 1
            and all(each.shape for each in statements)
            and (batch := await self._find(sql))
        ):
            return await batch.execute(self._connection, statements)
        return [await each.execute() for each in statements]

    async def _find(self, sql: str) -> _Batch | None:
        if sql not in self._known:
            self._known[sql] = await self._rewrite(sql)
        return self._known[sql]

    async def _rewrite(self, sql: str) -> _Batch | None:
        prepared = await self._connection.prepare(connections.translated(sql))
        types = prepared.get_parameters()
        plain = types and all(each.kind == "scalar" and each.schema == "pg_catalog" for each in types)
        return rewritten(sql, [each.name for each in types]) if plain else None

    async def run(self, lanes: Sequence[Sequence[Running[Any]]]) -> None:
        """Run units to their ends, those of one lane one after the other; what a unit raises is its `error`.

        Raises:
            FAILURES: of the driver; the transaction has to be undone.
        """
        waiting: dict[str, list[int]] = {}
        places = [0] * len(lanes)

        def go_on(lane: int, value: Any = None) -> None:
            """Run what is under way in a lane to its next statement, or the next unit to its first."""
            while places[lane] < len(lanes[lane]):
                unit = lanes[lane][places[lane]]
                try:
                    unit.go_on(value)
                except BaseException as error:  # noqa: BLE001  for the unit's caller
                    unit.error = error
                if unit.waits_for is not None:
                    waiting.setdefault(unit.waits_for.sql, []).append(lane)
                    return
                places[lane] += 1
                value = None

        try:
            for lane in range(len(lanes)):
                go_on(lane)
            while waiting:
                chosen = waiting.pop(max(waiting, key=lambda sql: len(waiting[sql])))
                units = [lanes[lane][places[lane]] for lane in chosen]
                values = await self.execute([each.waits_for for each in units if each.waits_for])
                for lane, value in zip(chosen, values, strict=True):
                    go_on(lane, value)
        finally:
            for unit in itertools.chain(*lanes):
                unit.close()
