"""Writes docs/reference/features.md from a run of the tests: what was asked, what Comity does, which test showed it.

The rows are tests/features/*.toml. A row holds if every test that it names passed; an endpoint if a test that passed
was answered by it with success, which is observed while the tests run. A row that does not hold says so on the page,
and the exit status is 1.
"""

from __future__ import annotations

import ast
import contextvars
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "tests" / "features"
PAGE = ROOT / "docs" / "reference" / "features.md"
OBSERVED = ("tests/adapters/api", "tests/pair")
NOT_SHOWN = "**not shown**"
MATRICES = (
    ("What the Dataspace Protocol asks", "dsp"),
    ("What EDC has", "edc"),
    ("What users of Python clients ask for", "clients"),
)
HEAD = """\
# Features

What the Dataspace Protocol 2025-1 asks, what the management API of EDC 0.18 and Tractus-X has, and what users of Python
clients ask for, against what Comity does. Made by `make features`: each cell names a test that passed when this page
was written. What was run against the others themselves is in [interop](interop.md).
"""
VERBS = {"GET": "read", "PUT": "changed", "DELETE": "deleted", "POST": "created"}
SUBJECTS = {
    "policydefinitions": "policy",
    "contractdefinitions": "contractdefinition",
    "contractnegotiations": "negotiation",
    "contractagreements": "agreement",
    "transferprocesses": "transfer",
    "connectordiscovery": "discovery",
    "protocol-versions": "versions",
}

_called: contextvars.ContextVar[tuple[str, str, str] | None] = contextvars.ContextVar("called", default=None)


class Watch:
    """A pytest plugin that notes which tests passed, and which endpoints answered them with success."""

    def __init__(self) -> None:
        self.outcomes: dict[str, bool] = {}
        self.answered: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self.current = ""

    def pytest_configure(self) -> None:
        """Put an ear where every request to the management API passes."""
        from comity.api import management  # noqa: PLC0415  the tests' path is set by now
        from comity.api.management import paths  # noqa: PLC0415

        find, respond = paths.find, management._respond  # noqa: SLF001  the one place that all requests pass

        def noting_find(*args: Any, **kwargs: Any) -> Any:
            found = find(*args, **kwargs)
            _called.set(found.key)
            return found

        async def noting_respond(*args: Any, **kwargs: Any) -> Any:
            response = await respond(*args, **kwargs)
            key = _called.get()
            if key is not None and response.status_code < 300:  # noqa: PLR2004  success
                self.answered[key].add(self.current)
            return response

        paths.find, management._respond = noting_find, noting_respond  # noqa: SLF001

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        """Note which test runs; what its fixtures ask for shows nothing."""
        self.current = item.nodeid.partition("[")[0]
        try:
            return (yield)
        finally:
            self.current = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note whether it passed, in all its cases."""
        name = report.nodeid.partition("[")[0]
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[name] = self.outcomes.get(name, True) and report.outcome == "passed"

    def shows(self, key: tuple[str, str, str]) -> str | None:
        """Return the passed test that is most about one endpoint: by its name, then by calling the fewest others."""
        passed = [name for name in self.answered.get(key, ()) if self.outcomes.get(name)]
        breadth = {name: sum(name in names for names in self.answered.values()) for name in passed}
        words = about(key)
        spoken = {name: sum(word in name.replace("_", "") for word in words) for name in passed}
        return min(passed, key=lambda name: (-spoken[name], breadth[name], name), default=None)


def about(key: tuple[str, str, str]) -> list[str]:
    """Return the words that the name of a test about an endpoint may have."""
    method, noun, rest = key
    doing = rest.rpartition("/")[2]
    verb = {"request": "found", "": VERBS[method], "{id}": VERBS[method]}.get(doing, doing.rstrip("e"))
    return [SUBJECTS.get(noun, noun.rstrip("s")), verb]


def rows(name: str) -> dict[str, Any]:
    """Return the tables of tests/features/<name>.toml."""
    return tomllib.loads((ROWS / f"{name}.toml").read_text(encoding="utf-8"))


def named_tests() -> list[str]:
    """Return the tests that rows name."""
    listed = [row for _, name in MATRICES for row in rows(name)["row"]]
    return sorted({test for row in listed for test in row["tests"]})


def exists(test: str) -> bool:
    """Return whether a test, named as pytest names it, is in its file."""
    path, *names = test.split("::")
    body: list[ast.stmt] = (
        ast.parse((ROOT / path).read_text(encoding="utf-8")).body if (ROOT / path).is_file() else []
    )
    for name in names:
        found = [each for each in body if getattr(each, "name", None) == name]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return bool(names)


def link(test: str) -> str:
    """Return a link to the file of a test, under the test's name."""
    path, _, name = test.partition("::")
    return f"[{name.split('::')[-1]}](../../{path})"


def page(watch: Watch) -> str:
    """Return the page, as a run showed it."""
    lines = [HEAD]
    for title, name in MATRICES:
        lines += [f"## {title}\n", *_matrix(rows(name)["row"], watch)]
    lines += ["## Endpoints of EDC's management API\n", *_endpoints(rows("edc")["endpoint"], watch)]
    return "\n".join(lines)


def _matrix(listed: list[dict[str, Any]], watch: Watch) -> list[str]:
    lines = ["| | what | asked | Comity | shown by |", "|---|---|---|---|---|"]
    for row in listed:
        shown = all(watch.outcomes.get(test) for test in row["tests"])
        tests = ", ".join(link(test) for test in row["tests"]) if shown else NOT_SHOWN
        said = row["comity"] + (f": {row['note']}" if "note" in row else "")
        lines.append(f"| {row['group']} | {row['rule']} | {row['level']} | {said} | {tests} |")
    return [*lines, ""]


def _endpoints(listed: list[dict[str, Any]], watch: Watch) -> list[str]:
    lines = ["| endpoint | EDC | Comity | shown by |", "|---|---|---|---|"]
    for each in listed:
        noun, _, rest = each["path"].partition("/")
        test = watch.shows((each["method"], noun, rest))
        said = f"no: {each['note']}" if "note" in each else "yes"
        cell = link(test) if test else "" if "note" in each else NOT_SHOWN
        lines.append(f"| `{each['method']} {each['path']}` | {', '.join(each['edc'])} | {said} | {cell} |")
    return [*lines, ""]


def main() -> int:
    """Run the tests, write the page, and return an exit status."""
    watch = Watch()
    beside = [test for test in named_tests() if not test.startswith(OBSERVED)]
    pytest.main([*OBSERVED, *beside, "-q", "-p", "no:cacheprovider", "--no-header"], plugins=[watch])
    text = page(watch)
    PAGE.write_text(text, encoding="utf-8")
    missing = text.count(NOT_SHOWN)
    print(f"{PAGE.relative_to(ROOT)} written; rows that no test shows: {missing}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
