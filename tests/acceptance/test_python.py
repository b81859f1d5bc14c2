"""The Python client against two real connectors: every example of its pages, and what it says when something fails.

One pair serves all of it. The examples run as in a notebook: each block in turn, in one namespace, while an event loop
is running.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from comity.client import AsyncConnector, Connector, ExchangeError
from support import processes
from support.examples import BLOCK, run

ROOT = Path(__file__).parents[2]
TUTORIAL, REFERENCE = ROOT / "docs/tutorial/python.md", ROOT / "docs/reference/python.md"


def use(operand, operator, right):
    constraint = {"leftOperand": operand, "operator": operator, "rightOperand": right}
    return {"@type": "Set", "permission": [{"action": "use", "constraint": [constraint]}]}


ANYBODY = {"@type": "Set", "permission": [{"action": "use"}]}
UNTIL_2027 = use("dateTime", "lteq", "2027-12-31")
NOBODY = use("dateTime", "lteq", "2020-01-01")


class Sides(NamedTuple):
    provider: processes.Served
    consumer: processes.Served
    anna: str

    @property
    def ours(self):
        return Connector(data=self.consumer.conf.folder)

    @property
    def theirs(self):
        return Connector(data=self.provider.conf.folder)

    @property
    def alpha(self):
        return self.ours.partner("alpha")


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    alpha, beta = (processes.make(folder, name) for name in ("alpha", "beta"))
    try:
        alpha.start()
        beta.start()
        processes.introduce(alpha, beta)
        anna = alpha.api.add_api_key("anna", "approver")["key"]
        found = Sides(alpha, beta, anna)
        _publish(found.theirs, folder)
        yield found
    finally:
        alpha.end()
        beta.end()


def _publish(theirs, folder):
    contents = {
        "pump": {"parts.csv": "part,quantity\nbody,1\nshaft,1\n", "readme.txt": "Read this first.\n...."},
        "manual": {"manual.txt": "Read this first.\n\n"},
        "secret": {"secret.txt": "a secret"},
        "slow": {"slow.txt": "approved"},
    }
    for name, files in contents.items():
        for path, text in files.items():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / path).write_text(text)
    theirs.publish(str(folder / "pump"), asset_id="pump", title="Pump P-100")
    theirs.publish(str(folder / "manual"), asset_id="manual", title="Manual P-100", policy=UNTIL_2027)
    theirs.publish(
        str(folder / "secret"),
        asset_id="secret",
        policy=use("purpose", "eq", "repair"),
        access_policy=NOBODY,
    )
    theirs.publish(
        str(folder / "slow"),
        asset_id="slow",
        access_policy=NOBODY,
        approval={"approvers": ["anna"]},
    )


@contextlib.contextmanager
def seen(sides, asset):
    """Let the partner see an asset for a while: the catalog that the pages show is not what other tests need."""
    [definition] = [
        each
        for each in sides.theirs.request("POST", "contractdefinitions/request", {"@type": "QuerySpec"})
        if each["assetsSelector"][0]["operandRight"] == asset
    ]
    policy = {"@type": "PolicyDefinition", "@id": definition["accessPolicyId"]}
    sides.theirs.request("PUT", "policydefinitions", {**policy, "policy": ANYBODY})
    try:
        yield
    finally:
        sides.theirs.request("PUT", "policydefinitions", {**policy, "policy": NOBODY})


@pytest.fixture
def at_home(sides, tmp_path, monkeypatch):
    """A working folder of a user whose connector is the consumer's."""
    for name in [each for each in os.environ if each.startswith("COMITY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COMITY_DATA", str(sides.consumer.conf.folder))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_every_example_of_the_tutorial_does_what_it_says(at_home):
    await run(TUTORIAL, {})
    assert (at_home / "pump" / "parts.csv").read_text() == "part,quantity\nbody,1\nshaft,1\n"


async def test_every_example_of_the_reference_does_what_it_says(at_home, sides):
    folder = sides.consumer.conf.folder.parent / "jig"
    folder.mkdir()
    (folder / "jig.txt").write_text("a jig")
    with seen(sides, "secret"):
        await run(REFERENCE, {"folder": str(folder)})


def failure(call):
    with pytest.raises(ExchangeError) as caught:
        call()
    return caught.value


def test_who_is_no_partner_is_said_while_finding(sides, tmp_path):
    failed = failure(lambda: sides.ours.partner("gamma").get("pump", to=tmp_path))
    assert (failed.stage, failed.code) == ("finding", "not-found")
    assert "gamma" in failed.message
    assert "partner add" in failed.hint


def test_what_the_partner_does_not_offer_is_said_while_finding(sides, tmp_path):
    failed = failure(lambda: sides.alpha.get("rocket", to=tmp_path))
    assert (failed.stage, failed.code) == ("finding", "not-found")


def test_other_terms_than_are_accepted_are_named_place_by_place_and_nothing_begins(sides, tmp_path):
    before = len(sides.ours.exchanges())
    failed = failure(
        lambda: sides.alpha.get("manual", to=tmp_path, accept=use("dateTime", "lteq", "2031-01-01"))
    )
    assert (failed.stage, failed.code, len(failed.offered)) == ("negotiating", "policy", 1)
    [difference] = failed.differences
    assert difference.terms == ("dateTime lteq 2027-12-31", "dateTime lteq 2031-01-01")
    assert "offered is dateTime lteq 2027-12-31, accepted would be dateTime lteq 2031-01-01" in str(failed)
    assert len(sides.ours.exchanges()) == before


def test_terms_that_are_accepted_are_agreed(sides, tmp_path):
    got = sides.alpha.get("Manual", to=tmp_path, accept=[ANYBODY, UNTIL_2027])
    assert got.file.read_text() == "Read this first.\n\n"
    agreed = sides.ours.load("contractagreements", got.agreement_id)
    assert agreed["policy"]["permission"][0]["constraint"][0]["rightOperand"] == "2027-12-31"


def test_a_refusal_has_the_partners_words_what_was_asked_and_the_ids(sides, tmp_path):
    with seen(sides, "secret"):
        failed = failure(lambda: sides.alpha.get("secret", to=tmp_path, purpose="repair"))
    assert failed.stage == "negotiating"
    assert "purpose eq repair" in failed.reason
    assert failed.accepted["permission"][0]["constraint"][0]["rightOperand"] == "repair"
    assert failed.differences == ()
    assert sides.ours.load("contractnegotiations", failed.ids["negotiation"])["state"] == "TERMINATED"


def test_waiting_for_an_approval_may_end_and_is_taken_up_again(sides, tmp_path):
    with seen(sides, "slow"):
        told = []
        failed = failure(lambda: sides.alpha.get("slow", to=tmp_path, progress=told.append, timeout_s=0.2))
        assert (failed.stage, failed.code) == ("negotiating", "unfinished")
        assert "takes it up again" in failed.hint
        [waiting] = sides.theirs.approvals()
        anna = Connector(sides.theirs.address, sides.anna)
        assert anna.settle_approval(waiting["@id"], "approve")["state"] != "WAITING"
        got = sides.alpha.get("slow", to=tmp_path, timeout_s=20)
        assert got.file.read_text() == "approved"
        assert next(each.stage for each in told) == "finding"


def test_what_leaves_the_store_is_in_the_evidence_and_what_is_wrong_in_the_folder_is_put_right(
    sides, tmp_path
):
    got = sides.alpha.get("pump", to=tmp_path)
    (tmp_path / "parts.csv").write_text("part,quantity\nbody,1\nshaft,2\n")
    failed = failure(lambda: sides.alpha.get("pump", to=tmp_path))
    assert (failed.stage, failed.code) == ("receiving", "storage")
    sides.alpha.get("pump", to=tmp_path, overwrite=True)
    assert (tmp_path / "parts.csv").read_text() == "part,quantity\nbody,1\nshaft,1\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        ".comity-manifest.json",
        *([".comity-seal.jws"] if (tmp_path / ".comity-seal.jws").exists() else []),
        "parts.csv",
        "readme.txt",
    ]
    exported = [each for each in sides.consumer.entries() if each.get("outcome") == "exported"]
    assert got.transfer_id in {each["processId"] for each in exported}


async def test_both_clients_have_the_same_methods_and_say_the_same(sides, tmp_path):
    def public(kind):
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Connector) <= public(AsyncConnector)
    async with AsyncConnector(data=sides.consumer.conf.folder) as ours:
        alpha = ours.partner("alpha")
        assert await alpha.catalog() == sides.alpha.catalog()
        assert await alpha.files("pump") == sides.alpha.files("pump")
        assert await alpha.read("pump", "parts.csv") == sides.alpha.read("pump", "parts.csv")
        assert (await alpha.applies("pump")).number == 1
        got = await alpha.get("pump", to=tmp_path / "pump")
        assert len(got.files) == 2
        with pytest.raises(ExchangeError, match="gamma"):
            await ours.partner("gamma").catalog()
        async for event in ours.watch(after=0):
            assert event.id
            break


def test_a_trace_has_every_request_and_never_the_key(sides, tmp_path):
    traced = []
    ours = Connector(data=sides.consumer.conf.folder, trace=traced.append)
    got = ours.partner("alpha").get("pump", to=tmp_path)
    assert {each.path for each in traced} >= {"partners", "catalog/dataset/request", "exchanges"}
    assert all(each.status == 200 and each.ms > 0 for each in traced)
    assert got.transfer_id in {each.ids.get("transferId") for each in traced}
    assert ours.place.api_key not in "".join(map(str, traced)) + repr(traced) + repr(ours.place)


def test_a_job_on_another_machine_needs_an_address_and_a_key(sides, tmp_path):
    elsewhere = {"COMITY_URL": sides.ours.address, "COMITY_API_KEY": sides.ours.place.api_key}
    words = [sys.executable, str(ROOT / "demo" / "nightly.py"), "alpha"]

    def job(*more):
        environment = processes.environment() | elsewhere
        return subprocess.run(
            [*words, *more],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = job("pump", "in")
    assert (done.returncode, done.stdout.partition(",")[0]) == (0, "2 files in in"), done.stderr
    assert job("rocket", "in").returncode == 1
    said = subprocess.run(
        [*processes.COMITY, "catalog", "alpha", "--json"],
        env=processes.environment() | elsewhere,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(said.stdout)["dataset"]


def test_a_connector_that_is_killed_meanwhile_is_waited_for_and_nothing_is_lost(sides, tmp_path):
    folder = sides.provider.conf.folder.parent / "large"
    folder.mkdir()
    contents = {f"part{at}.bin": os.urandom(4 << 20) for at in range(3)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    sides.theirs.publish(str(folder), asset_id="large", policy=ANYBODY, access_policy=NOBODY)
    kills = []

    def told(progress):
        if progress.note.startswith("from your connector") and not kills:
            kills.append(sides.consumer.kill())
            sides.consumer.start()

    with seen(sides, "large"):
        got = sides.alpha.get("large", to=tmp_path, progress=told)
    assert kills
    assert {each.name: each.read_bytes() for each in got.files} == contents
    assert [each for each in tmp_path.iterdir() if each.name.endswith(".part")] == []


def test_a_partner_that_is_away_is_said_while_finding_and_its_data_can_still_be_saved(sides, tmp_path):
    got = sides.alpha.get("pump", to=tmp_path / "before")
    sides.provider.kill()
    failed = failure(lambda: sides.alpha.get("pump", to=tmp_path / "after"))
    assert (failed.stage, failed.code) == ("finding", "delivery-transient")
    again = sides.ours.save(got.transfer_id, tmp_path / "after")
    assert [each.read_bytes() for each in again.files] == [each.read_bytes() for each in got.files]
    sides.provider.start()


def test_the_lines_of_the_readme_lead_from_nothing_to_a_frame(at_home, sides):
    """The address of the partner is the only thing that is another one here."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    folder = sides.provider.conf.folder.parent / "measurements"
    folder.mkdir()
    pandas.DataFrame({"bar": [1.5, 2.5]}).to_parquet(folder / "pressure.parquet")
    sides.theirs.publish(str(folder), asset_id="measurements", policy=ANYBODY, access_policy=NOBODY)
    [lines] = [each for each in BLOCK.findall((ROOT / "README.md").read_text()) if "pandas" in each[0]]
    assert len(lines[0].split("\n\n")) <= 2
    assert sum(bool(line.strip()) for line in lines[0].splitlines()) == 5
    namespace = {}
    with seen(sides, "measurements"):
        exec(lines[0].replace("https://alpha.example", sides.provider.conf.address), namespace)
    assert list(namespace["frame"]["bar"]) == [1.5, 2.5]
