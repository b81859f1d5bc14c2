"""The page of figures and its plot say what performance.json says, and a page can say all that a run measures."""

from __future__ import annotations

import importlib.util
import json

import pytest

PAIRS = ("Comity, SQLite", "Comity, PostgreSQL", "EDC 1, PostgreSQL, defaults", "EDC 1, PostgreSQL, tuned")
ENDS = {"begun": 100, "finalized": 97, "terminated": 2}


@pytest.fixture(scope="module")
def bench(root):
    """The modules of bench by their names; they are scripts beside each other, not a package."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"bench_{name}", root / "bench" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return {name: load(name) for name in ("page", "plot")}


@pytest.fixture(scope="module")
def written(root):
    """What is in docs/reference: the JSON, the page and the plot."""
    folder = root / "docs" / "reference"
    found = json.loads((folder / "performance.json").read_text())
    return found, (folder / "performance.md").read_text(), (folder / "performance.svg").read_text()


def a_run(rate, **more):
    """A whole run, in which Comity makes `rate` a second and EDC one."""
    cpu = {"provider": {"process": 1.0}, "consumer": {"process": 2.0}, "driver": 3.0}
    rows, starts = [], []
    for label in PAIRS:
        ours = label.startswith("Comity")
        figures = {
            "rate": rate if ours else 1.0,
            "p50_ms": 5.0 if ours else 500.0,
            "p99_ms": 9.0,
            "cpu_us": cpu,
        }
        rows += [
            {
                "connector": label,
                "concurrency": each,
                "warm_up": 400,
                "rate_range": [0.5, 1000.0],
                **figures,
                **ENDS,
            }
            for each in (1, 32, 128)
        ]
        memory = {"idle_mib": 70.0, "loaded_mib": 90.0} if ours else {"idle_mib": 300.0, "loaded_mib": 500.0}
        ready = 0.5 if ours else 5.0
        starts.append(
            {"connector": label, "starts": 3, "ready_s": ready, "ready_range_s": [0.1, 9.0], **memory}
        )
    page = {size: {"p50_ms": 1.0, "p95_ms": 2.0, "cpu_ms": 1.0} for size in ("1,000", "100,000")}
    way = {"datasets": 10_000, "wire": 1e6, "seconds": 1.0, "provider cpu": 0.5}
    cost = {"cpu_s_per_gib": 0.2, "mb_per_s": 900.0}
    return {
        "taken": "2026-11-28T00:00+00:00",
        "machine": {"cores": 2, "processor": "any", "python": "3.11"},
        "postgresql": {"fsync": "on"},
        "rounds": {"rounds": 3, "count": 2000, "limit_s": 20.0},
        "took_s": 900,
        "negotiations": rows,
        "starts": starts,
        "catalog": {"pages": {"one definition": page, "a definition for each": page}, "whole": {"gzip": way}},
        "data": {"comity": cost, "nginx, sendfile on": cost},
        **more,
    }


def test_tables_on_the_page_are_those_of_the_json(bench, written):
    found, text, _ = written
    assert bench["page"].updated(text, found) == text, (
        "write it anew with: python bench/run.py --redraw --write docs/reference"
    )


def test_plot_is_that_of_the_json(bench, written):
    found, _, plot = written
    assert bench["plot"].draw(found) == plot


def test_whole_run_leaves_nothing_open_on_the_page(bench, written):
    text = bench["page"].updated(written[1], a_run(1000.0))
    tables = [each for name in bench["page"].TABLES for each in bench["page"].TABLES[name](a_run(1000.0))]
    assert [line for line in tables if bench["page"].NOT_TAKEN in line] == []
    assert all(line in text for line in tables)
    assert "| 97 of 100, 2 TERMINATED, 1 not at an end |" in text


def test_missed_figure_says_by_how_much_and_a_reached_one_does_not(bench):
    rows = {line.split("|")[1].strip(): line for line in bench["page"].targets(a_run(400.0))}
    assert "| 400 | **no**: 20 % too little |" in rows["negotiations a second, SQLite, 32 under way"]
    assert rows["negotiations a second, PostgreSQL, 32 under way"].endswith("| yes |")
    assert "| 0.23 of it | **no**: 17 % too much |" in rows["memory, idle, of EDC's at its best, PostgreSQL"]
    assert rows["memory, loaded, of EDC's at its best, PostgreSQL"].endswith("| yes |")


def test_pair_that_was_lost_is_named_with_its_reason_and_the_others_keep_theirs(bench):
    run = a_run(1000.0, lost={PAIRS[3]: "CheckError: it did not start"})
    run["negotiations"] = [row for row in run["negotiations"] if row["connector"] != PAIRS[3]]
    assert f"* {PAIRS[3]} was taken out: CheckError: it did not start" in bench["page"].run(run)
    rows = {line.split("|")[1].strip(): line for line in bench["page"].targets(run)}
    assert rows["throughput against EDC tuned, PostgreSQL, 32 under way"].endswith(
        "| not taken | not taken |"
    )
    assert rows["EDC's latency at its defaults against ours, alone, PostgreSQL"].endswith(
        "| 100 times | yes |"
    )
