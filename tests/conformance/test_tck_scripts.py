"""What `make tck` rests on, without Java: the table names the kit's tests, its moves are legal, the report is read."""

import sys
from collections import Counter

import pytest

from comity import data_folder, errors, runtime
from comity.controlplane import decide
from comity.controlplane.decide import NegotiationCase, TransferCase
from comity.db import agreements, outbox
from comity.dsp import machine, negotiation, terms, transfer
from conformance.tck import kit, report, run, scripts, seed, table, triggers, weather

SECTIONS = {"MET": [1], "CAT": [3], "CN": [4, 7, 4], "CN_C": [4, 6, 6], "TP": [5, 5, 6], "TP_C": [5, 5, 6]}
"""Group -> number of tests in each of its sections, the two that the kit has switched off among them."""

MESSAGES = {
    decide.OFFER: machine.OFFER,
    decide.REQUEST: machine.REQUEST,
    decide.ACCEPT: machine.ACCEPT,
    decide.AGREE: machine.AGREEMENT,
    decide.VERIFY: machine.VERIFICATION,
    decide.FINALIZE: machine.FINALIZE,
    decide.START: machine.START,
    decide.SUSPEND: machine.SUSPENSION,
    decide.COMPLETE: machine.COMPLETION,
}
SCRIPTS = [
    (terms.NEGOTIATION, terms.PROVIDER, table.PROVIDER_NEGOTIATIONS),
    (terms.NEGOTIATION, terms.CONSUMER, table.CONSUMER_NEGOTIATIONS),
    (terms.TRANSFER, terms.PROVIDER, table.PROVIDER_TRANSFERS),
    (terms.TRANSFER, terms.CONSUMER, table.CONSUMER_TRANSFERS),
]
SAMPLE = """\
\x1b[1m
[2026-01-02T03:04:05.678] \x1b[1mRunning DSP TCK v2025.1\x1b[0m
SLF4J(W): No SLF4J providers were found.

[2026-01-02T03:04:06.1] Started: CN:01-01: Verify contract request, offer received, consumer terminated
[2026-01-02T03:04:06.2] SUCCESSFUL: CN:01-01

[2026-01-02T03:04:06.3] Started: TP_C:02-05: Verify transfer request, consumer terminated
[2026-01-02T03:04:06.4] {result}: TP_C:02-05

[2026-01-02T03:04:07.1] Passed tests: {passed}
[2026-01-02T03:04:07.1] Failed tests: {failed}
"""
FAILURE = """\
\x1b[31m
[2026-01-02T03:04:07.2] Failures:
[2026-01-02T03:04:07.2]
   ■ org.eclipse.Some.tp_c_02_05

[2026-01-02T03:04:07.2]      [TP_C:02-05: Verify transfer request, consumer terminated]
[2026-01-02T03:04:07.2]      Timeout waiting for state to transition to TERMINATED

"""
TWO = {"CN:01-01", "TP_C:02-05"}


def sample(result="SUCCESSFUL", passed=2, failed=0):
    return SAMPLE.format(result=result, passed=passed, failed=failed)


def a_negotiation(asset_id, **more):
    values = {
        "id": "urn:us",
        "role": terms.PROVIDER,
        "counterparty_id": seed.KIT,
        "counterparty_address": "http://127.0.0.1:1",
        "counterparty_pid": "urn:them",
        "state": terms.REQUESTED,
        "version": 0,
        "asset_id": asset_id,
        "offer": {},
        "offered_by": terms.CONSUMER,
        "created_at": 1,
        "updated_at": 1,
    }
    return NegotiationCase(negotiation.Negotiation(**{**values, **more}), None)


def a_transfer(agreement_id, **more):
    values = {
        "id": "urn:us",
        "role": terms.PROVIDER,
        "counterparty_id": seed.KIT,
        "counterparty_address": "http://127.0.0.1:1",
        "counterparty_pid": "urn:them",
        "state": terms.STARTED,
        "version": 0,
        "agreement_id": agreement_id,
        "asset_id": seed.TRANSFERRED,
        "format": transfer.PULL,
        "created_at": 1,
        "updated_at": 1,
    }
    return TransferCase(transfer.Transfer(**{**values, **more}), allowed=True, reasons=())


class TestTable:
    def test_names_every_test_of_the_kit_but_the_two_that_are_switched_off(self):
        named = {
            f"{group}:{section:02}-{number:02}"
            for group, counts in SECTIONS.items()
            for section, count in enumerate(counts, 1)
            for number in range(1, count + 1)
        }
        assert named - set(table.DISABLED) == table.TESTS
        assert set(table.DISABLED) <= named
        assert len(table.TESTS) == 65

    @pytest.mark.parametrize(("kind", "role", "rows"), SCRIPTS)
    def test_every_move_is_allowed_in_its_state(self, kind, role, rows):
        for subject, script in rows.items():
            for state, move in script.items():
                message = MESSAGES.get(move.kind, machine.TERMINATIONS[kind])
                at = state.removeprefix(table.AGAIN)
                assert message in machine.allowed(kind, at, role), (subject, state)
                assert move.after_s == table.PAUSE_S, (subject, state)

    def test_properties_give_each_test_its_dataset_or_agreement_and_providers_their_offer(self):
        places = kit.Places(participant_id="us", root="http://r", dsp="http://d", triggers="http://t", port=1)
        offer_ids = {name: f"offer of {name}" for name in table.PROVIDER_NEGOTIATIONS}
        found = kit.properties(places, offer_ids)
        assert found["CN_01_02_DATASETID"] == "ACN0102"
        assert found["CN_01_02_OFFERID"] == "offer of ACN0102"
        assert found["TP_C_03_06_AGREEMENTID"] == "ATPC0306"
        assert found["CAT_01_03_DATASETID"] == "CAT0103"
        kinds = Counter(name.rsplit("_", 1)[1] for name in found if name[:2] in {"CN", "TP", "CA"})
        assert kinds == {"DATASETID": 3 + 15 + 16, "OFFERID": 15, "AGREEMENTID": 32, "FORMAT": 32}
        assert (
            found["dataspacetck.dsp.connector.http.headers.authorization"] == '{"clientId":"TCK_PARTICIPANT"}'
        )


class TestScripted:
    def test_stays_where_a_state_has_no_row(self):
        assert scripts.Scripted().negotiation(a_negotiation("ACN0202")).kind == decide.WAIT

    def test_makes_another_move_when_a_state_is_reached_again(self):
        decisions = scripts.Scripted()
        first = decisions.negotiation(a_negotiation("ACN0102", version=0))
        second = decisions.negotiation(a_negotiation("ACN0102", version=4))
        assert (first.kind, second.kind) == (decide.OFFER, decide.TERMINATE)

    def test_makes_the_same_move_when_a_step_is_run_once_more(self):
        decisions = scripts.Scripted()
        moves = [decisions.transfer(a_transfer("ATP0104", version=2)).kind for _ in range(2)]
        assert moves == [decide.SUSPEND, decide.SUSPEND]

    def test_counts_each_process_by_itself(self):
        decisions = scripts.Scripted()
        decisions.negotiation(a_negotiation("ACN0102", version=0))
        assert decisions.negotiation(a_negotiation("ACN0102", id="urn:2", version=3)).kind == decide.OFFER

    def test_leaves_everything_else_to_policy(self):
        case = a_transfer("another", state=terms.REQUESTED)
        assert scripts.Scripted().transfer(case) == decide.ByPolicy().transfer(case)


class TestReport:
    def test_takes_a_run_in_which_everything_passed(self):
        outcome = report.parse(sample())
        assert report.problems(outcome, TWO) == []
        assert report.closing_line(outcome, TWO) == "2 passed, 0 failed"

    def test_fails_on_one_failed_test_and_gives_the_kits_reason(self):
        outcome = report.parse(sample("FAILED", 1, 1) + FAILURE)
        assert report.problems(outcome, TWO) == [
            "TP_C:02-05: failed; Timeout waiting for state to transition to TERMINATED",
            "the kit's own sums are {'Passed': 1, 'Failed': 1}",
        ]
        assert report.closing_line(outcome, TWO) == "1 passed, 1 failed"

    def test_fails_when_a_test_was_not_run(self):
        outcome = report.parse(sample(passed=3))
        assert report.problems(outcome, {*TWO, "CN:01-02"}) == ["CN:01-02: was not run; no reason given"]
        assert report.closing_line(outcome, {*TWO, "CN:01-02"}) == "2 passed, 1 failed"

    def test_fails_when_a_test_was_broken_off(self):
        outcome = report.parse(sample("ABORTED"))
        assert report.problems(outcome, TWO)
        assert report.closing_line(outcome, TWO) == "1 passed, 1 failed"

    def test_fails_when_the_sums_are_missing(self):
        outcome = report.parse(sample().partition("[2026-01-02T03:04:07.1] Passed")[0])
        assert report.problems(outcome, TWO) == ["the kit's own sums are missing"]
        assert report.closing_line(outcome, TWO) == "2 passed, 1 failed"

    @pytest.mark.parametrize(("passed", "failed"), [(1, 0), (3, 0), (2, 1)])
    def test_fails_when_the_sums_say_something_else(self, passed, failed):
        outcome = report.parse(sample(passed=passed, failed=failed))
        assert report.problems(outcome, TWO)
        assert report.closing_line(outcome, TWO).endswith(" 1 failed")

    def test_fails_when_a_test_passes_and_fails(self):
        outcome = report.parse(sample() + "[2026] FAILED: CN:01-01\n")
        assert report.closing_line(outcome, TWO) == "1 passed, 1 failed"

    def test_fails_when_the_kit_has_a_test_that_the_table_does_not_have(self):
        outcome = report.parse(sample(passed=1))
        assert report.problems(outcome, {"CN:01-01"}) == ["TP_C:02-05: is not in our table"]
        assert report.closing_line(outcome, {"CN:01-01"}) == "1 passed, 1 failed"

    def test_fails_when_the_kit_says_nothing(self):
        assert report.closing_line(report.parse(""), table.TESTS) == "0 passed, 65 failed"

    def test_keeps_the_kits_words_without_the_machine(self):
        said = "Unexpected 404 received for request: http://127.0.0.1:4711/dsp/2025-1/negotiations/7"
        kept = report.clean(f"{sample()}[t] {said}\n[t] read /home/somebody/kit.properties\n")
        assert "SUCCESSFUL: CN:01-01" in kept
        assert "http://<host>/dsp/2025-1/negotiations/7" in kept
        assert "read <path>" in kept
        for odd in ("\x1b", "127.0.0.1", "4711", "somebody", "SLF4J"):
            assert odd not in kept


class TestWeather:
    async def test_twice_delivers_the_same_bytes_again_and_the_first_answer_counts(self):
        answers, sent = iter([b"first", b"second"]), []

        async def post(url, body, authorization):
            sent.append((url, body, authorization))
            return next(answers)

        twice = weather.Twice()
        assert await twice(post)("u", b"m", "a") == b"first"
        assert sent == [("u", b"m", "a")] * 2
        assert twice.copies == {"taken": 1}

    async def test_twice_passes_the_first_error_on_and_only_counts_the_second(self):
        refusals = iter([404, 400])

        async def post(url, body, authorization):
            raise errors.PermanentDeliveryError("no", status=next(refusals))

        twice = weather.Twice()
        with pytest.raises(errors.PermanentDeliveryError) as caught:
            await twice(post)("u", b"m", "a")
        assert caught.value.status == 404
        assert twice.copies == {"answered 400": 1}

    async def test_late_waits_for_a_part_of_the_time_before_it_sends(self):
        done = []

        async def pause(seconds):
            done.append(seconds)

        async def post(url, body, authorization):
            done.append(url)
            return b""

        await weather.together([weather.late(0.2, lambda: 0.25, pause)])(post)("u", b"m", "a")
        assert done == [0.05, "u"]


class TestConnector:
    async def test_begins_what_the_kit_wishes_with_its_ids_unchanged(self, tmp_path):
        conf = data_folder.initialize(
            tmp_path / "connector",
            address="http://127.0.0.1:1",
            listen="127.0.0.1:1",
            insecure=True,
            mock_identity=True,
            participant_id="CONNECTOR_UNDER_TEST",
        )
        held = weather.late(60.0, lambda: 0.9)  # nothing is sent while this test runs
        async with runtime.connector(conf, decisions=scripts.Scripted(), wrap_post=held) as parts:
            made = parts.connector
            await seed.plant(made, "http://127.0.0.1:9")
            offer_ids = await seed.offer_ids(made)
            assert len(set(offer_ids.values())) == len(table.PROVIDER_NEGOTIATIONS)
            wish = {"providerId": seed.KIT, "connectorAddress": "http://127.0.0.1:9"}
            await triggers.begin_negotiation(
                made, {**wish, "offerId": "offerACNC0101", "datasetId": "ACNC0101"}
            )
            await triggers.begin_transfer(made, {**wish, "agreementId": "ATPC0101", "format": transfer.PULL})
            rows = await made.database.read(outbox.find_open)
            served = await made.database.read(
                lambda tx: agreements.find_of_party(tx, "ATP0306", seed.KIT, terms.PROVIDER)
            )
        assert [row.message for row in rows] == [machine.REQUEST, machine.TRANSFER_REQUEST]
        assert b'"@id":"offerACNC0101"' in rows[0].body
        assert b'"agreementId":"ATPC0101"' in rows[1].body
        assert served.finalized


class TestRun:
    def test_says_in_one_line_that_java_is_missing(self, monkeypatch, capsys):
        monkeypatch.setattr(kit.shutil, "which", lambda name: None)
        monkeypatch.setattr(sys, "argv", ["make tck"])
        assert run.main() == 3
        assert capsys.readouterr().out == "make tck needs Java (17 or newer) and Maven\n"

    def test_says_in_one_line_that_maven_cannot_bring_the_kit(self, monkeypatch, capsys, tmp_path):
        said = "[ERROR] Could not find artifact org.some.kit:dsp-tck:jar:9.9 in central (https://host/) -> [1]\nmore"
        done = kit.subprocess.CompletedProcess([], 1, stdout=said, stderr="")
        monkeypatch.setattr(kit, "check_machine", lambda *, maven: None)
        monkeypatch.setattr(kit.subprocess, "run", lambda *_, **__: done)
        monkeypatch.setattr(sys, "argv", ["make tck"])
        assert run.main() == 3
        said = "Maven cannot bring the kit 1.0.1: there is no org.some.kit:dsp-tck:jar:9.9\n"
        assert capsys.readouterr().out == said

    @pytest.mark.parametrize(("result", "status"), [("SUCCESSFUL", 0), ("FAILED", 1)])
    def test_ends_with_the_count_and_a_status(self, monkeypatch, capsys, tmp_path, result, status):
        async def played(*_):
            lines = "".join(f"[t] SUCCESSFUL: {name}\n" for name in sorted(table.TESTS - {"CN:01-01"}))
            failed = int(result == "FAILED")
            return f"{lines}[t] {result}: CN:01-01\n[t] Passed tests: {65 - failed}\n[t] Failed tests: {failed}\n"

        monkeypatch.setattr(kit, "check_machine", lambda *, maven: None)
        monkeypatch.setattr(run, "_run", played)
        kept = tmp_path / "report.txt"
        monkeypatch.setattr(sys, "argv", ["make tck", "--class-path", "x", "--report", str(kept)])
        assert run.main() == status
        last = capsys.readouterr().out.splitlines()[-1]
        assert last == f"{65 - status} passed, {status} failed"
        assert f"{result}: CN:01-01" in kept.read_text()
