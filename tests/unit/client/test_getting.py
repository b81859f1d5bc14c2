"""The way from a partner's name to its files as steps: what is asked next, and what an end that is none becomes."""

import pytest

from comity import errors
from comity.client import ExchangeError, RevisionWarning, getting, reading, saving
from comity.client.choosing import Wanted
from comity.client.steps import Downloads, Look, Pause

OFFER = {
    "@id": "offer",
    "permission": [
        {
            "action": "use",
            "constraint": [{"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-12-31"}],
        }
    ],
}
COUNTER = {"permission": [{"action": "use"}]}
PARTNERS = [{"@id": "did:web:alpha.example", "name": "alpha"}]
FOUND = {
    "partners": PARTNERS,
    "catalog/dataset/request": {"@id": "pump", "hasPolicy": [OFFER]},
    "exchanges": {"@id": "e"},
}


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Api:
    """Answers by the path of a request: one answer after the other, the last one for ever."""

    def __init__(self, answers):
        self.answers = {
            path: said if isinstance(said, Said) else Said(said) for path, said in answers.items()
        }
        self.asked = []
        self.now_s = 0.0

    def run(self, flow):
        going = iter(flow)
        try:
            step = next(going)
            while True:
                if isinstance(step, Pause):
                    self.now_s += step.seconds
                    step = going.send(self.now_s)
                elif isinstance(step, Look):
                    step = going.send(step.files)
                elif isinstance(step, Downloads):
                    self.fetched = [each.source for each in step.files]
                    step = going.send(None)
                else:
                    step = self.answer(going, step)
        except StopIteration as end:
            return end.value

    def answer(self, going, call):
        self.asked.append((call.method, call.path, call.body))
        answer = self.answers.get(call.path, Said(errors.NotFoundError(call.path))).next()
        return going.throw(answer) if isinstance(answer, Exception) else going.send(answer)


class Said:
    def __init__(self, *answers):
        self.answers = list(answers)

    def next(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def status(stage, **more):
    return {"@id": "e", "stage": stage, "negotiationId": "n", "agreementId": None, **more}


def failure(answers, **more):
    api = Api(FOUND | answers)
    with pytest.raises(ExchangeError) as caught:
        api.run(getting.get(Wanted("alpha", "pump"), "to", **more))
    return caught.value


def test_without_the_purpose_that_its_terms_ask_for_nothing_is_begun():
    asked = {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["service", "repair"]}
    offer = {"@id": "o", "permission": [{"action": "use", "constraint": [asked]}]}
    for flow in (lambda wanted: getting.get(wanted, "to"), reading.files):
        api = Api(FOUND | {"catalog/dataset/request": {"@id": "pump", "hasPolicy": [offer]}})
        with pytest.raises(ExchangeError, match=r"ask for a purpose.*: repair, service") as caught:
            api.run(flow(Wanted("alpha", "pump")))
        assert (caught.value.stage, caught.value.code) == ("negotiating", "policy")
        assert (caught.value.hint, caught.value.offered) == ('say what it is for: purpose="repair"', (offer,))
        assert [path for _, path, _ in api.asked] == ["partners", "catalog/dataset/request"]


def test_other_terms_that_the_partner_offers_meanwhile_end_it_at_once_and_are_compared():
    failed = failure(
        {
            "exchanges/e": status("NEGOTIATING", negotiationState="OFFERED"),
            "contractnegotiations/n": {"@id": "n", "offer": COUNTER, "offeredBy": "PROVIDER"},
        }
    )
    assert (failed.stage, failed.code) == ("negotiating", "delivery-refused")
    assert failed.offered == (COUNTER,)
    assert [each.terms for each in failed.differences] == [("", "dateTime lteq 2027-12-31")]
    assert failed.ids["negotiation"] == "n"


def test_other_terms_about_which_people_here_are_asked_are_waited_for():
    waiting = status("NEGOTIATING", negotiationState="OFFERED", waitsFor="waits for anna")
    told = []
    failed = failure({"exchanges/e": waiting}, timeout_s=1, progress=told.append)
    assert (failed.stage, failed.code) == ("negotiating", "unfinished")
    assert "waits for anna" in failed.hint
    assert "waits for anna" in told[-1].note


def test_a_negotiation_that_the_partner_ended_has_its_words_and_what_it_offers_now():
    failed = failure(
        {
            "exchanges/e": status("FAILED", negotiationState="TERMINATED", error="ended"),
            "contractnegotiations/n": {"errorDetail": "this is not offered any more", "offer": OFFER},
            "catalog/dataset/request": Said(FOUND["catalog/dataset/request"], {"hasPolicy": [COUNTER]}),
        }
    )
    assert (failed.stage, failed.reason) == ("negotiating", "this is not offered any more")
    assert failed.offered == (COUNTER,)
    assert len(failed.differences) == 1


@pytest.mark.parametrize(
    ("state", "code", "reason", "hint"),
    [
        ("REFUSED", "policy", "", "people of your own refused it"),
        ("APPROVED", "delivery-refused", "people at the provider refused it: no", "the partner decides that"),
    ],
)
def test_whose_people_refused_it_is_told_apart(state, code, reason, hint):
    why = reason or "people at the consumer refused it: no"
    failed = failure(
        {
            "exchanges/e": status("FAILED", negotiationState="TERMINATED", error="ended"),
            "contractnegotiations/n": {"errorDetail": why},
            "approvals/request": [{"state": state}],
        }
    )
    assert (failed.message, failed.code, failed.reason) == (why, code, reason)
    assert failed.hint.startswith(hint)


def test_progress_is_told_when_it_is_new_and_a_silent_partner_is_named():
    waiting = status("NEGOTIATING", negotiationState="REQUESTED")
    told = []
    failed = failure({"exchanges/e": waiting}, timeout_s=30, progress=told.append)
    assert [(each.stage, each.note) for each in told] == [
        ("finding", ""),
        ("negotiating", ""),
        ("negotiating", "the partner has not answered yet"),
    ]
    assert "it waits: the partner has not answered yet" in failed.hint


def test_a_transfer_that_the_partner_ended_says_so_and_why():
    ended = status(
        "FAILED", agreementId="a", transferId="t", negotiationState="FINALIZED", transferState="TERMINATED"
    )
    failed = failure({"exchanges/e": ended, "transferprocesses/t": {"errorDetail": "no licence"}})
    assert (failed.stage, failed.reason, failed.code) == ("transferring", "no licence", "delivery-refused")
    assert failed.accepted is None
    assert "goes on" in failed.hint


def test_a_wrong_hash_at_the_connector_is_of_verifying():
    ended = status("FAILED", agreementId="a", transferId="t", bytesTotal=7, error="other bytes")
    failed = failure({"exchanges/e": ended | {"errorType": "hash-mismatch"}})
    assert (failed.stage, failed.code, failed.message) == ("verifying", "hash-mismatch", "other bytes")


def test_files_that_are_not_those_of_the_manifest_are_refused():
    done = status("COMPLETED", agreementId="a", transferId="t", manifestSha256="ab" * 32)
    files = [{"path": ".comity-manifest.json", "sizeBytes": 2, "sha256": "00"}]
    manifest = "received/t/files/.comity-manifest.json?export=true"
    failed = failure({"exchanges/e": done, "received/t/files": files, manifest: b"{}"})
    assert (failed.stage, failed.code) == ("verifying", "hash-mismatch")


def test_files_without_the_manifest_that_was_offered_are_refused():
    done = status("COMPLETED", agreementId="a", transferId="t", manifestSha256="ab" * 32)
    files = [{"path": "a", "sizeBytes": 2, "sha256": "00"}]
    failed = failure({"exchanges/e": done, "received/t/files": files})
    assert (failed.stage, failed.code) == ("verifying", "hash-mismatch")


def test_who_opens_it_and_what_for_is_said_with_each_file():
    done = status("COMPLETED", agreementId="a", transferId="t")
    api = Api(
        FOUND | {"exchanges/e": done, "received/t/files": [{"path": "a b", "sizeBytes": 1, "sha256": "00"}]}
    )
    wanted = Wanted("alpha", "pump", "repair", "Anna", ("DE", "FR"))
    flow = getting.get(wanted, "to")
    got = api.run(flow)
    assert [str(each) for each in got.files] == ["to/a b"]
    assert api.fetched == [
        "received/t/files/a%20b?purpose=repair&person=Anna&nationality=DE&nationality=FR&export=true"
    ]
    [begun] = [body for _, path, body in api.asked if path == "exchanges"]
    assert (begun["destination"], begun["purpose"], begun["policy"]) == ("store:", "repair", OFFER)


def test_a_reading_that_is_refused_has_a_stage_and_the_partners_words():
    api = Api(
        FOUND
        | {"readings": {"@id": "r"}, "readings/r": {"@id": "r", "stage": "FAILED", "error": "no licence"}}
    )
    with pytest.raises(ExchangeError) as caught:
        api.run(reading.open_(Wanted("alpha", "pump")))
    assert (caught.value.stage, caught.value.reason) == ("negotiating", "no licence")


def test_a_file_is_named_where_there_are_several():
    ready = {"@id": "r", "stage": "READY", "agreementId": "a"}
    files = [{"path": "a", "sizeBytes": 1}, {"path": "b", "sizeBytes": 2}]
    answers = FOUND | {"readings": {"@id": "r"}, "readings/r": ready, "readings/r/files": files}
    assert Api(answers).run(reading.open_(Wanted("alpha", "pump"), "b")).source == "readings/r/files/b"
    with pytest.raises(ExchangeError, match="it has 2 files: name one"):
        Api(answers).run(reading.open_(Wanted("alpha", "pump")))


def test_who_reads_a_revision_that_was_superseded_or_recalled_is_warned():
    became = {"became": "revision 1 was superseded by revision 2"}
    files = [{"path": "a", "sizeBytes": 1, "sha256": "00"}]
    done = status("COMPLETED", agreementId="a", transferId="t")
    ready = {"@id": "r", "stage": "READY", "agreementId": "a"}
    held = {"received/t/files": files, "received?transferId=t": [became]}
    read = {"readings": {"@id": "r"}, "readings/r": ready | became, "readings/r/files": files}
    for answers, flow in (
        (held, saving.save("t", "to", Wanted("alpha", "pump"))),
        (held | {"exchanges/e": done | became}, getting.get(Wanted("alpha", "pump"), "to")),
        (read, reading.open_(Wanted("alpha", "pump"))),
    ):
        with pytest.warns(RevisionWarning, match="superseded by revision 2"):
            Api(FOUND | answers).run(flow)
