import subprocess
import sys

import pytest

COMMANDS = (
    [
        "init",
        "serve",
        "partner",
        "publish",
        "catalog",
        "get",
        "negotiations",
        "agreements",
        "transfers",
        "evidence",
    ]
    + ["partner add", "partner list", "partner show", "partner remove", "evidence verify", "evidence show"]
    + [f"negotiations {verb}" for verb in ("show", "accept", "agree", "verify", "finalize", "terminate")]
    + [f"transfers {verb}" for verb in ("show", "suspend", "resume", "complete", "terminate")]
    + ["agreements show"]
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_within_80_columns(comity, command):
    done = comity(*command.split(), "--help")
    assert done.code == 0
    assert "Usage: comity" in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 80


def test_help_names_every_command(comity):
    done = comity("--help")
    for command in COMMANDS:
        assert command.split()[0] in done.out


def test_help_loads_neither_cryptography_nor_server_nor_store():
    heavy = (
        "cryptography",
        "joserfc",
        "starlette",
        "uvicorn",
        "aiohttp",
        "sqlite3",
        "msgspec",
        "rich.progress",
    )
    program = (
        "import sys; from comity.cli import main\n"
        "try: main.app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "comity", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("comity ")


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (500, "internal", 1),
        (409, "conflict", 1),
        (502, "delivery-transient", 1),
        (400, "invalid-input", 2),
        (422, "identity", 1),
        (422, "storage", 1),
        (403, "policy", 4),
        (502, "delivery-refused", 4),
        (404, "not-found", 5),
    ],
)
def test_exit_code_tells_what_went_wrong(comity, api, status, code, exit_code):
    api.fails("GET", "partners", status, code, "so it is", hint="do this")
    done = comity("partner", "list")
    assert (done.code, done.out) == (exit_code, "")
    assert done.err.startswith("error: ")
    assert "so it is" in done.err
    assert done.err.endswith("hint: do this\n")


def test_connector_that_does_not_take_the_key_is_exit_code_3(comity, api):
    api.fails(
        "GET", "partners", 401, "unauthorized", "the API key is missing or wrong", hint="send it as X-Api-Key"
    )
    done = comity("partner", "list")
    assert done.code == 3
    assert "--data names yours" in done.err


def test_connector_that_is_not_running_is_exit_code_3(comity, data_folder):
    file = data_folder / "comity.toml"
    file.write_text(file.read_text().replace(comity.api.address.removeprefix("http://"), "127.0.0.1:1"))
    done = comity("partner", "list")
    assert done.code == 3
    assert done.err == (
        "error: the connector at http://127.0.0.1:1 cannot be reached: Connection refused\n"
        "hint: start it with: comity serve\n"
    )


def test_folder_without_a_connector_says_how_to_make_one(comity, tmp_path):
    done = comity("partner", "list", "--data", str(tmp_path))
    assert done.code == 1
    assert "there is no connector in" in done.err
    assert "comity init" in done.err


@pytest.mark.parametrize("words", [["--data", "F", "partner", "list"], ["partner", "list", "--data", "F"]])
def test_data_folder_may_stand_before_or_after_the_command(comity, api, data_folder, words):
    api.says("GET", "partners", [])
    done = comity(*[str(data_folder) if word == "F" else word for word in words], COMITY_DATA="/nowhere")
    assert (done.code, done.err) == (0, "")


def test_singular_and_plural_are_one_command(comity, api):
    api.says("GET", "partners", [])
    assert comity("partners", "list").code == 0


def test_reasons_of_a_policy_and_place_of_an_error_are_told(comity, api):
    api.fails("GET", "partners", 403, "policy", "no", reasons=["count lteq 3"])
    assert comity("partner", "list").err == "error: no\n       count lteq 3\n"


def test_what_a_partner_wrote_cannot_steer_the_terminal(comity, api):
    api.fails("GET", "partners", 502, "delivery-refused", "\x1b[2Jno\nhint: run rm")
    assert comity("partner", "list").err == "error: ?[2Jno hint: run rm\n"


def test_wrong_option_is_exit_code_2(comity):
    assert comity("partner", "list", "--jsn").code == 2
