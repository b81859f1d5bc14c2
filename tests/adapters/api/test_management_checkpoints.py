"""Checkpoints and findings through the API: made on demand, shown as signed notes, acknowledged by a person."""

from comity.controlplane import partners
from comity.db import evidence, witnessed
from comity.db.witnessed import Finding
from comity.evidence import checkpoint
from comity.evidence.entry import Entry


async def a_record(connector):
    entry = Entry(
        at=1, direction="in", message="M", sha256="", sender="a", receiver="b", kind="k", process_id="p"
    )
    await connector.database.write(lambda tx: evidence.append(tx, entry))


async def test_a_checkpoint_is_made_when_asked_for_and_shown_as_a_signed_note(api, site):
    connector = site.connector
    assert (await api.get("evidence/checkpoints")).json["checkpoints"] == []
    await a_record(connector)
    answer = (await api.request("POST", "evidence/checkpoints")).json
    (made,) = answer["checkpoints"]
    note = checkpoint.parse(made["note"])
    assert checkpoint.check(note, [connector.signing_keys.signing_key().public_jwk()])
    assert (note.checkpoint.origin, made["size"], made["cosignedBy"]) == (made["origin"], 1, [])
    assert (await api.request("POST", "evidence/checkpoints")).json["checkpoints"] == [made]
    assert (await api.get("evidence/checkpoints?limit=0")).status == 400


async def test_a_finding_is_shown_until_somebody_has_acknowledged_it(api, site):
    connector = site.connector
    found = Finding(
        id="urn:f",
        participant_id="p",
        origin="p/log/0",
        kind="RESTARTED",
        said="s",
        known="",
        shown="n",
        found_at=1,
    )
    await connector.database.write(lambda tx: witnessed.add_finding(tx, found))
    (shown,) = (await api.get("evidence/checkpoints")).json["findings"]
    assert (shown["id"], shown["said"], "acknowledgedAt" in shown) == ("urn:f", "s", False)
    assert (await api.request("POST", "evidence/urn%3Af/acknowledge")).status == 204
    assert "acknowledgedAt" in (await api.get("evidence/checkpoints")).json["findings"][0]
    assert (await api.request("POST", "evidence/urn%3Af/acknowledge")).status == 409
    assert (await api.request("POST", "evidence/other/acknowledge")).status == 404


async def test_only_a_checkpoint_of_a_partner_is_compared(api, site):
    connector = site.connector
    await partners.add(connector, "p", address="http://127.0.0.1:1/dsp")
    answer = await api.request("POST", "evidence/compare", {"checkpoint": "x"})
    assert (answer.status, answer.problem["path"]) == (400, "$.checkpoint")
    head = checkpoint.Checkpoint("p/log/0", 3, bytes(32))
    note = checkpoint.sign(head, connector.signing_keys.signing_key())
    answer = await api.request("POST", "evidence/compare", {"checkpoint": note})
    assert (answer.status, "no key that is known" in answer.problem["message"]) == (400, True)


async def test_while_stamps_are_missing_for_too_long_nothing_new_is_taken_and_health_says_so(api, site):
    connector = site.connector
    connector.halt.reason = "there was no time stamp"
    parts = {
        each["component"]: each for each in (await api.get("/api/check/health")).json["componentResults"]
    }
    assert not parts["time stamps"]["isHealthy"]
    assert (await api.get("evidence/checkpoints")).json["halted"] == "there was no time stamp"
