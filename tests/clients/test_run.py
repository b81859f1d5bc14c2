from __future__ import annotations

import sys

import pytest

from clients import run


@pytest.fixture
def script(tmp_path):
    """Runs a script in the place of a client's and returns the lines of it."""

    def play(text):
        (tmp_path / "script.py").write_text(text)
        return list(run.lines(run.Run("client", [sys.executable, "script.py"], tmp_path), tmp_path / "told"))

    return play


def counted(*lines):
    result = run.Result()
    for line in lines:
        result.count(line)
    return result


def test_lines_of_checks_are_counted_by_area_and_others_are_not():
    found = counted(
        "ok    assets: create", "FAIL  assets: get: gone", "ok    health: all: well", "ok then: no", ""
    )
    assert (dict(found.passed), dict(found.failed)) == ({"assets": 1, "health": 1}, {"assets": 1})


def test_a_failed_check_fails_the_run(capsys):
    assert run.report({"client": counted("ok    a: x", "FAIL  a: y: z")}, ["another is left out"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "client  a: 1 of 2",
        "clients: another is left out",
        "1 passed, 1 failed",
    ]


def test_a_client_that_was_left_out_is_told_by_the_exit_status():
    passed = {"client": counted("ok    a: x")}
    assert (run.report(passed, []), run.report(passed, ["another is left out"])) == (0, 3)


def test_a_run_without_checks_fails():
    assert run.report({}, []) == 1


def test_a_script_that_ends_well_is_taken_at_its_word(script):
    assert script("print('ok    a: x')") == ["ok    a: x"]
    assert script("print('FAIL  a: x: y'); raise SystemExit(1)") == ["FAIL  a: x: y"]


@pytest.mark.parametrize(
    "text",
    ["", "print('ok    a: x'); raise SystemExit(1)", "print('FAIL  a: x: y')"],
    ids=["no checks", "it broke off", "a failure that it does not tell"],
)
def test_a_script_whose_status_does_not_fit_its_lines_has_failed(script, text):
    assert script(text)[-1].startswith("FAIL  the script: it ended with status ")


def test_a_script_that_never_ends_is_ended(script, monkeypatch):
    monkeypatch.setattr(run, "LIMIT_S", 0.5)
    assert script("import time; time.sleep(60)")[-1].startswith("FAIL  the script: it ended with status ")
