"""The story of a user, told with the real commands: what they print, what they leave behind, how they end."""

import json
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from support import processes
from support.ports import free_port

DONE, FAILED, USAGE, UNREACHABLE, REFUSED, NOT_FOUND, INTEGRITY, UNFINISHED = range(8)
GIB = 1 << 30


def told(done, code=DONE):
    """What a command printed, after its exit code was checked; never a stack trace."""
    assert done.returncode == code, (done.args, done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout if code == DONE else done.stderr


def as_json(done):
    return json.loads(told(done))


def init(tmp_path, name):
    """A connector made by `comity init`."""
    address, own = f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    words = ["--address", address, "--name", name, "--management", own, "--root", str(tmp_path), "--insecure"]
    said = told(processes.command("init", *words, folder=tmp_path / name))
    return said, address


@pytest.fixture
def sides(tmp_path):
    """Two connectors made and started by commands, that do not know each other yet."""
    made = []
    for name in ("alpha", "beta"):
        said, address = init(tmp_path, name)
        assert f"participant  did:web:127.0.0.1%3A{address.rpartition(':')[2]}" in said
        assert "next: comity serve" in said
        made.append(processes.Served(processes.settings.load(tmp_path / name)))
        made[-1].start()
    yield made
    for side in made:
        side.end()


@pytest.fixture
def known(sides):
    alpha, beta = sides
    for one, other in ((alpha, beta), (beta, alpha)):
        said = told(one.run("partner", "add", other.conf.address, "--name", other.conf.name))
        assert f"added        {other.conf.name}" in said
        assert other.did in said
    return alpha, beta


def test_a_user_publishes_finds_gets_and_verifies(known, folder, tmp_path):
    alpha, beta = known
    said = told(alpha.run("publish", str(folder), "--id", "pump", "--title", "Pump P-100", "--to", "beta"))
    assert "2 files" in said
    said = told(beta.run("catalog", "alpha"))
    assert "Pump P-100" in said
    got = tmp_path / "got"
    said = told(beta.run("get", "alpha", "pump", "-o", str(got)))
    labels = [line.split(" ", 1)[0] for line in said.splitlines() if line[:1].strip()]
    assert labels == [
        "finding",
        "negotiating",
        "agreed",
        "pulling",
        "received",
        "checked",
        "manifest",
        "sealed",
        "folder",
    ]
    assert f"sealed by    {alpha.did}\n" in said
    assert not {"\x1b", "\r"} & set(said)
    for path in ("drawing.txt", "parts/list.csv"):
        assert (got / path).read_bytes() == (folder / path).read_bytes()
    for side in known:
        assert "FINALIZED" in told(side.run("negotiations"))
        assert "the evidence holds" in told(side.run("evidence", "verify"))
    assert told(alpha.run("agreements")).count("pump") == told(beta.run("agreements")).count("pump") == 1
    assert "COMPLETED" in told(beta.run("transfers"))


def test_getting_again_reuses_the_agreement_and_ends_at_once(known, folder, tmp_path):
    alpha, beta = known
    told(alpha.run("publish", str(folder), "--id", "pump"))
    told(beta.run("get", "alpha", "pump", "-o", str(tmp_path / "got")))
    kept = (tmp_path / "got" / "drawing.txt").stat()
    began = time.monotonic()
    said = told(beta.run("get", "alpha", "pump", "-o", str(tmp_path / "got")))
    assert time.monotonic() - began < 5
    assert "received" in said
    now = (tmp_path / "got" / "drawing.txt").stat()
    assert (now.st_ino, now.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns), "it was written again"
    assert (
        beta.rows("SELECT count(*) FROM agreement") == beta.rows("SELECT count(*) FROM negotiation") == [(1,)]
    )


def test_every_json_form_can_be_read(known, folder, tmp_path):
    alpha, beta = known
    assert as_json(alpha.run("publish", str(folder), "--id", "pump", "--json"))["assetId"] == "pump"
    assert [each["name"] for each in as_json(beta.run("partner", "list", "--json"))] == ["alpha"]
    assert as_json(beta.run("catalog", "alpha", "--json"))
    state = as_json(beta.run("get", "alpha", "pump", "-o", str(tmp_path / "got"), "--json"))
    assert (state["stage"], state["filesDone"]) == ("COMPLETED", 2)
    for noun in ("negotiations", "agreements", "transfers"):
        for side in known:
            assert len(as_json(side.run(noun, "--json"))) == 1
    assert as_json(beta.run("negotiations", state["negotiationId"], "--json"))["state"] == "FINALIZED"
    assert as_json(beta.run("evidence", "show", "--json"))["entries"]
    assert as_json(beta.run("evidence", "verify", "--json"))["size"] > 4
    made = processes.command(
        "init", "--address", "https://connector.example", "--json", folder=tmp_path / "gamma"
    )
    assert as_json(made)["participantId"] == "did:web:connector.example"


def test_exit_codes_tell_what_went_wrong(known, folder, tmp_path):
    alpha, beta = known
    told(alpha.run("publish", str(folder), "--id", "pump"))
    assert "no-such-asset" in told(
        beta.run("get", "alpha", "no-such-asset", "-o", str(tmp_path / "a")), NOT_FOUND
    )
    assert "nobody" in told(beta.run("catalog", "nobody"), NOT_FOUND)
    assert told(beta.run("get", "alpha"), USAGE)
    assert "no date" in told(beta.run("publish", str(folder), "--until", "soon"), USAGE)
    outside = told(beta.run("get", "alpha", "pump", "-o", "/proc/nowhere"), FAILED)
    assert "storage.roots" in outside
    alpha.stop()
    away = beta.run("catalog", "alpha")
    assert "cannot be reached" in told(away, away.returncode)
    assert away.returncode not in {DONE, UNREACHABLE}, "it is the partner that is away, not our own connector"
    beta.stop()
    said = told(beta.run("negotiations"), UNREACHABLE)
    assert "start it with: comity serve" in said


def test_tampered_evidence_is_named(known, folder, tmp_path):
    alpha, beta = known
    told(alpha.run("publish", str(folder), "--id", "pump"))
    told(beta.run("get", "alpha", "pump", "-o", str(tmp_path / "got")))
    beta.stop()
    copy = tmp_path / "copy.sqlite"
    shutil.copy(beta.conf.database, copy)
    with closing(sqlite3.connect(copy)) as store:
        store.execute("UPDATE evidence SET record = replace(record, 'FINALIZED', 'finalized') WHERE seq = 4")
        store.execute("UPDATE evidence SET record = CAST(record || ' ' AS BLOB) WHERE seq = 3")
        store.commit()
    assert "row 3" in told(beta.run("evidence", "verify", str(copy)), INTEGRITY)
    told(beta.run("evidence", "verify"))


def test_interrupted_watching_leaves_the_connector_pulling_and_a_second_get_joins_it(known, tmp_path):
    alpha, beta = known
    (tmp_path / "big").mkdir()
    with (tmp_path / "big" / "a.bin").open("wb") as file:
        file.truncate(GIB)
    told(alpha.run("publish", str(tmp_path / "big"), "--id", "big"))
    got = tmp_path / "got"
    first = beta.begin("get", "alpha", "big", "-o", str(got))
    part = got / ".a.bin.part"
    processes.wait_until(lambda: part.exists() and part.stat().st_size, "the first bytes", 20, alpha, beta)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=10)
    assert first.returncode == UNFINISHED, (out, err)
    assert "Traceback" not in err
    assert "the connector goes on; watch again with: comity get alpha big" in err
    assert not (got / "a.bin").exists(), "it was too quick to be interrupted"
    said = told(beta.run("get", "alpha", "big", "-o", str(got)))
    assert said.startswith("joining"), said
    assert "received" in said
    assert (got / "a.bin").stat().st_size == GIB
    assert beta.rows("SELECT count(*) FROM exchange") == beta.rows("SELECT count(*) FROM transfer") == [(1,)]


def test_partner_who_is_not_on_the_list_is_told_what_to_do(sides, folder, tmp_path):
    alpha, beta = sides
    told(alpha.run("publish", str(folder), "--id", "pump"))
    assert "comity partner add" in told(
        beta.run("get", alpha.did, "pump", "-o", str(tmp_path / "a")), NOT_FOUND
    )
    told(beta.run("partner", "add", alpha.conf.address, "--name", "alpha"))
    said = told(beta.run("catalog", "alpha"), REFUSED)  # now alpha does not know beta
    assert beta.did in said
    assert "is not a partner of this connector (ask its operator to add you)" in said


def test_policy_that_says_no_names_the_term(known, folder, tmp_path):
    alpha, beta = known
    told(alpha.run("publish", str(folder), "--id", "pump", "--until", "2001-02-03"))
    refused = beta.run("get", "alpha", "pump", "-o", str(tmp_path / "got"))
    hidden = told(refused, NOT_FOUND)  # the access policy is the same: it is not even seen
    assert "pump" in hidden
    policy = {
        "permission": [
            {
                "action": "use",
                "constraint": [{"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2001-02-03"}],
            }
        ]
    }
    alpha.api.publish(
        str(folder),
        timeout_s=20,
        asset_id="open",
        policy=policy,
        access_policy={"permission": [{"action": "use"}]},
    )
    said = told(beta.run("get", "alpha", "open", "-o", str(tmp_path / "got")), REFUSED)
    assert "dateTime lteq 2001-02-03" in said
    assert not list((tmp_path / "got").glob("*"))
    assert "TERMINATED" in told(beta.run("negotiations"))


def test_what_is_dropped_into_a_watched_folder_is_published_over_restarts(serving, folder):
    alpha = serving("alpha")
    told(alpha.run("publish", str(folder), "--id", "pump"))
    watching = alpha.begin("watch", str(folder), "--stable", "0.2", "--every", "0.1")
    try:
        (folder / "new.stp.part").write_bytes(b"half")
        alpha.stop()
        (folder / "new.stp.part").rename(folder / "new.stp")
        alpha.start()
        newest = "SELECT max(number) FROM revision"
        processes.wait_until(lambda: alpha.rows(newest) == [(2,)], "revision 2", 20, alpha)
    finally:
        watching.send_signal(signal.SIGTERM)
        said, _ = watching.communicate(timeout=10)
    assert watching.returncode == 0
    assert "published revision 2 of pump: 3 files" in said
    assert said.rstrip().endswith("stopped")
