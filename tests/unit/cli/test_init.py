import json
import sys
from types import SimpleNamespace

import pytest

import comity as package
from comity import settings
from comity.identity import jose
from support import softhsm


def test_init_tells_who_you_are_and_what_comes_next(comity, tmp_path):
    done = comity("init", "--address", "https://alpha.example", "--name", "Alpha Works", "--data", "new")
    made = settings.load(tmp_path / "new")
    thumbprint = jose.thumbprint(settings.signing_key(made).public_jwk())
    assert done.code == 0
    assert done.out == (
        "participant  did:web:alpha.example\n"
        "name         Alpha Works\n"
        "address      https://alpha.example\n"
        "listens at   0.0.0.0:443\n"
        f"public key   {thumbprint} (thumbprint)\n"
        f"data folder  {tmp_path}/new\n"
        "\n"
        "next: comity serve --data new\n"
        "your partners then run: comity partner add did:web:alpha.example\n"
    )


def test_init_takes_every_setting_and_makes_paths_absolute(comity, tmp_path):
    words = "--address http://127.0.0.1:9000/a --listen 127.0.0.1:9000 --management 127.0.0.1:9001 --insecure --json"
    done = comity("init", *words.split(), "--root", "a", "--root", "b/../c", "--data", "new")
    made = settings.load(tmp_path / "new")
    assert made.roots == (str(tmp_path / "a"), str(tmp_path / "c"))
    assert (made.listen, made.management, made.insecure) == ("127.0.0.1:9000", "127.0.0.1:9001", True)
    assert json.loads(done.out)["participantId"] == made.participant_id


def test_second_init_changes_nothing(comity, data_folder):
    before = (data_folder / "comity.toml").read_text()
    done = comity("init", "--address", "https://other.example")
    assert done.code == 1
    assert "holds a connector already" in done.err
    assert (data_folder / "comity.toml").read_text() == before


def test_http_without_the_development_flag_is_refused(comity, tmp_path):
    done = comity("init", "--address", "http://alpha.example", "--data", "new")
    assert done.code == 2
    assert "is http" in done.err
    assert "--insecure" in done.err
    assert not (tmp_path / "new").exists()


@pytest.fixture
def served(monkeypatch):
    given = []
    runtime = SimpleNamespace(serve=given.append)  # the real one brings the whole server along
    monkeypatch.setitem(sys.modules, "comity.runtime", runtime)
    monkeypatch.setattr(package, "runtime", runtime, raising=False)
    return given


def test_serve_runs_the_connector_of_the_data_folder(comity, data_folder, served):
    assert comity("serve").code == 0
    assert [each.folder for each in served] == [data_folder]


def test_serve_names_what_is_wrong_with_the_settings(comity, tmp_path, served):
    assert comity("serve", "--data", str(tmp_path / "none")).code == 1
    assert not served


def test_init_makes_the_key_in_a_token_where_one_is_named(comity, tmp_path):
    said = softhsm.token("adapters")
    words = ("--hsm", said["hsm_module"], "--hsm-token", "adapters", "--hsm-pin-file", said["hsm_pin_file"])
    done = comity("init", "--data", "alpha", "--address", "https://alpha.example", *words)
    assert "public key   " in done.out
    made = settings.load(tmp_path / "alpha")
    assert (made.keys_hsm_module, made.keys_hsm_token) == (said["hsm_module"], "adapters")
    assert not (tmp_path / "alpha" / "keys" / "connector.pem").exists()
    done = comity("init", "--data", "beta", "--address", "https://beta.example", "--hsm-token", "adapters")
    assert "--hsm-token and --hsm-pin-file go with --hsm" in done.err
    assert not (tmp_path / "beta").exists()
