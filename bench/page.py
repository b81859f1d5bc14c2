"""Writes the tables of `docs/reference/performance.md` from the JSON of a run, each between its marks.

What the JSON does not have is "not taken" on the page. What stands outside the marks is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

NAME = "performance.md"
NOT_TAKEN = "not taken"
CONCURRENCIES = (1, 32, 128)
SQLITE, POSTGRES = "Comity, SQLite", "Comity, PostgreSQL"
LARGE, SMALL = "100,000", "1,000"
SLOW_LINE_BIT_S = 10e6
Found = dict[str, Any]
Figure = float | None


def run(found: Found) -> list[str]:
    """Say when, on what and for how long it was measured, and what was lost."""
    machine, rounds = found["machine"], found.get("rounds")
    warm_up = {row["connector"]: row["warm_up"] for row in found.get("negotiations", []) if "warm_up" in row}
    settings = ", ".join(f"{name} {value}" for name, value in found.get("postgresql", {}).items())
    said = {
        "When": found["taken"][:10],
        "Where": f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}",
        "PostgreSQL": settings,
        "Rounds": rounds
        and f"{rounds['rounds']}, each of {rounds['count']:,} negotiations and {rounds['limit_s']:g} s at most",
        "Negotiations to warm up": "; ".join(f"{label} {count}" for label, count in warm_up.items()),
        "Time it took": f"{found['took_s'] / 60:.0f} minutes" if "took_s" in found else "",
        **{f"{label} was taken out": why for label, why in found.get("lost", {}).items()},
    }
    return [f"* {name}: {value or NOT_TAKEN}" for name, value in said.items()]


def negotiations(found: Found) -> list[str]:
    """Return a row for each connector and concurrency."""
    rows = []
    for label in connectors(found):
        for concurrency in CONCURRENCIES:
            row = _row(found, label, concurrency)
            cpu = row.get("cpu_us") or {}
            used = ", ".join(_said(cpu[side]["process"]) for side in ("provider", "consumer") if side in cpu)
            times = [_said(row.get(name)) for name in ("p50_ms", "p99_ms")]
            rows.append(
                [
                    label,
                    concurrency,
                    _spread(row, "rate", "rate_range"),
                    *times,
                    used or NOT_TAKEN,
                    _ends(row),
                ]
            )
    cpu_us = "CPU us a negotiation: provider, consumer"
    return _table(
        ["connector, store", "under way", "a second", "p50 ms", "p99 ms", cpu_us, "FINALIZED"], rows
    )


def _ends(row: Found) -> str:
    """Say how many of all were FINALIZED, and how the others ended."""
    if "begun" not in row:
        return NOT_TAKEN
    open_still = row["begun"] - row["finalized"] - row["terminated"]
    said = [f"{row['finalized']:,} of {row['begun']:,}"]
    said += [
        f"{count:,} {word}"
        for word, count in (("TERMINATED", row["terminated"]), ("not at an end", open_still))
        if count
    ]
    return ", ".join(said)


def starts(found: Found) -> list[str]:
    """Return a row for each connector: its start, and its memory."""
    rows = []
    for label in connectors(found):
        row = _start(found, label)
        memory = [_said(row.get(name)) for name in ("idle_mib", "loaded_mib")]
        rows.append([label, _spread(row, "ready_s", "ready_range_s"), row.get("starts", NOT_TAKEN), *memory])
    return _table(["connector, store", "ready, s", "starts", "idle, MiB", "loaded, MiB"], rows)


def pages(found: Found) -> list[str]:
    """Return a row for each number of assets: how long one page takes."""
    rows = [
        [size, kind, *(_said(row[name]) for name in ("p50_ms", "p95_ms", "cpu_ms"))]
        for kind, sizes in found.get("catalog", {}).get("pages", {}).items()
        for size, row in sizes.items()
    ]
    return _table(["assets", "definitions", "p50 ms", "p95 ms", "provider's CPU ms"], rows)


def whole(found: Found) -> list[str]:
    """Return a row for each way to ask for all of a catalog."""
    rows = []
    for kind, row in found.get("catalog", {}).get("whole", {}).items():
        wire = row.get("wire")
        sizes = [_said(wire / 1e6), _said(wire * 8 / SLOW_LINE_BIT_S)] if wire else [NOT_TAKEN] * 2
        rows.append(
            [kind, f"{row['datasets']:,.0f}", *sizes, _said(row["seconds"]), _said(row["provider cpu"])]
        )
    line = "s of a line of 10 Mbit/s"
    return _table(
        ["asked for", "datasets", "MB on the wire", line, "s on loopback", "provider's CPU s"], rows
    )


def data(found: Found) -> list[str]:
    """Return a row for each server: what a GiB costs."""
    rows = [
        [server, _said(row["cpu_s_per_gib"]), _said(row["mb_per_s"])]
        for server, row in found.get("data", {}).items()
    ]
    return _table(["server", "CPU s a GiB", "MB a second"], rows)


def ranges(found: Found) -> list[str]:
    """Return a row for each way to read at a partner."""
    cpu = [f"{side}_cpu_s_per_gib" for side in ("provider", "consumer", "reader")]
    rows = []
    for way, row in found.get("ranges", {}).items():
        used = ", ".join(_said(row[name]) for name in cpu)
        memory = ", ".join(_said(row[name]) for name in ("provider_mib", "consumer_mib"))
        rows.append([way, _said(row["mb_per_s"]), _said(row["reads_per_s"]), used, memory])
    used = "CPU s a GiB: provider, consumer, reader"
    return _table(["read", "MB a second", "reads a second", used, "MiB: provider, consumer"], rows)


def packages(found: Found) -> list[str]:
    """Return a row for each package and what was done with it."""
    rows = []
    for each in [*found.get("packages", ()), *found.get("large", ())]:
        for work in ("publish", "get", "get again"):
            row = each[work]
            used = ", ".join(_said(row[f"{side}_cpu_s"]) for side in ("provider", "consumer"))
            memory = ", ".join(_said(row[f"{side}_peak_mib"]) for side in ("provider", "consumer"))
            size = f"{each['files']:,} of {round(each['mib'] / each['files'], 2):,g} MiB"
            rows.append([size, work, _said(row["took_s"]), _said(row["mb_per_s"]), used, memory])
    used, memory = "CPU s: provider, consumer", "peak MiB: provider, consumer"
    return _table(["files", "work", "s", "MB a second", used, memory], rows)


def targets(found: Found) -> list[str]:
    """Return a row for each figure that was asked for: what was seen, and how much is missing."""
    rows = []
    for what, asked, seen, unit, more in _targets(found):
        shown = NOT_TAKEN if seen is None else f"{_said(seen)}{unit}"
        rows.append(
            [what, f"at {'least' if more else 'most'} {asked:,g}{unit}", shown, _reached(asked, seen, more)]
        )
    return _table(["what", "asked", "seen", "reached"], rows)


def _targets(found: Found) -> Iterator[tuple[str, float, Figure, str, bool]]:
    """Yield what is asked, the figure, what was seen, the unit, and whether more is better."""
    for asked, wish in ((500, "SQLite"), (250, "PostgreSQL")):
        seen = _row(found, f"Comity, {wish}", 32).get("rate")
        yield f"negotiations a second, {wish}, 32 under way", asked, seen, "", True
        yield f"what is wanted there, {wish}", 1000, seen, "", True
    for store in (SQLITE, POSTGRES):
        name = store.partition(", ")[2]
        yield f"a lone negotiation, median, {name}", 10, _row(found, store, 1).get("p50_ms"), " ms", False
        yield f"start to ready, {name}", 1, _start(found, store).get("ready_s"), " s", False
        yield f"memory, idle, {name}", 90, _start(found, store).get("idle_mib"), " MiB", False
    for kind in ("one definition", "a definition for each"):
        sizes = found.get("catalog", {}).get("pages", {}).get(kind, {})
        p95 = [sizes.get(size, {}).get("p95_ms") for size in (LARGE, SMALL)]
        yield (
            f"p95 of a catalog page, {LARGE} assets against {SMALL}, {kind}",
            1.5,
            _ratio(*p95),
            " times",
            False,
        )
    servers = found.get("data", {})
    costs = {name: row["cpu_s_per_gib"] for name, row in servers.items()}
    nginx = min((cost for name, cost in costs.items() if name.startswith("nginx")), default=None)
    yield "CPU of a GiB, against nginx at its best", 1.5, _ratio(costs.get("comity"), nginx), " times", False
    yield from _beside_edc(found)


def _beside_edc(found: Found) -> Iterator[tuple[str, float, Figure, str, bool]]:
    edc = [label for label in connectors(found) if label.startswith("EDC")]
    tuned = next((label for label in edc if label.endswith("tuned")), "")
    defaults = next((label for label in edc if label.endswith("defaults")), "")
    for concurrency in CONCURRENCIES[1:]:
        rates = [_row(found, label, concurrency).get("rate") for label in (POSTGRES, tuned)]
        yield (
            f"throughput against EDC tuned, PostgreSQL, {concurrency} under way",
            10,
            _ratio(*rates),
            " times",
            True,
        )
    waits = [_row(found, label, 1).get("p50_ms") for label in (defaults, POSTGRES)]
    yield "EDC's latency at its defaults against ours, alone, PostgreSQL", 50, _ratio(*waits), " times", True
    for name, what, part in (("idle_mib", "memory, idle", 0.2), ("loaded_mib", "memory, loaded", 0.2),
                             ("ready_s", "start to ready", 0.125)):  # fmt: skip
        least = min((_start(found, label)[name] for label in edc if _start(found, label)), default=None)
        yield (
            f"{what}, of EDC's at its best, PostgreSQL",
            part,
            _ratio(_start(found, POSTGRES).get(name), least),
            " of it",
            False,
        )


def _reached(asked: float, seen: Figure, more: bool) -> str:  # noqa: FBT001
    if seen is None:
        return NOT_TAKEN
    if seen >= asked if more else seen <= asked:
        return "yes"
    return f"**no**: {abs(seen / asked - 1) * 100:.0f} % too {'little' if more else 'much'}"


def connectors(found: Found) -> list[str]:
    """Return the labels of all pairs, in the order in which they were begun."""
    return list(dict.fromkeys(row["connector"] for row in found.get("negotiations", [])))


def _row(found: Found, label: str, concurrency: int) -> Found:
    rows = found.get("negotiations", [])
    return next((row for row in rows if (row["connector"], row["concurrency"]) == (label, concurrency)), {})


def _start(found: Found, label: str) -> Found:
    return next((row for row in found.get("starts", []) if row["connector"] == label), {})


def _ratio(one: Figure, other: Figure) -> Figure:
    return one / other if one is not None and other else None


def _said(value: Figure) -> str:
    if value is None:
        return NOT_TAKEN
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"  # noqa: PLR2004  three figures


def _spread(row: Found, name: str, spread: str) -> str:
    if name not in row:
        return NOT_TAKEN
    low, high = map(_said, row[spread])
    return f"{_said(row[name])} ({low} to {high})"


def _table(head: list[str], rows: list[list[object]]) -> list[str]:
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (head, *rows)]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]] if rows else [f"{NOT_TAKEN.capitalize()}."]


TABLES: dict[str, Callable[[Found], list[str]]] = {
    "run": run, "negotiations": negotiations, "starts": starts, "targets": targets, "pages": pages, "whole": whole,
    "data": data, "packages": packages, "ranges": ranges,
}  # fmt: skip


def marked(name: str, found: Found) -> str:
    """Return what stands between the marks of a table, the marks included."""
    return "\n".join([f"<!-- {name}: begin -->", "", *TABLES[name](found), "", f"<!-- {name}: end -->"])


def updated(text: str, found: Found) -> str:
    """Return the page with what is between its marks written anew.

    Raises:
        SystemExit: it has no marks for a table.
    """
    for name in TABLES:
        before, _, rest = text.partition(f"<!-- {name}: begin -->")
        _, end, after = rest.partition(f"<!-- {name}: end -->")
        if not end:
            raise SystemExit(f"{NAME} has no marks for {name}")
        text = before + marked(name, found) + after
    return text
