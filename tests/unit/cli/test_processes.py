import json
import re

import pytest

ONE = "urn:uuid:11111111-aaaa-4aaa-8aaa-000000000001"
TWO = "urn:uuid:22222222-bbbb-4bbb-8bbb-000000000002"
ASSET = "urn:comity:package:0123456789abcdef0123456789abcdef"
AGREEMENT = "urn:uuid:aaaaaaaa-aaaa-4aaa-8aaa-00000000000a"
AT = 1_800_000_000_000


def negotiation(name, **more):
    return {
        "@id": name,
        "type": "CONSUMER",
        "state": "FINALIZED",
        "counterPartyId": "did:web:alpha.example",
        "assetId": ASSET,
        "contractAgreementId": AGREEMENT,
        "createdAt": AT,
        **more,
    }


def transfer(name, **more):
    return {
        "@id": name,
        "type": "PROVIDER",
        "state": "STARTED",
        "counterPartyId": "did:web:alpha.example",
        "assetId": ASSET,
        "contractId": AGREEMENT,
        "transferType": "HttpData-PULL",
        "createdAt": AT,
        "stateTimestamp": AT + 60_000,
        **more,
    }


AGREED = {
    "@id": AGREEMENT,
    "agreementId": AGREEMENT,
    "providerId": "did:web:alpha.example",
    "consumerId": "did:web:beta.example",
    "contractSigningDate": AT // 1000,
    "assetId": ASSET,
    "policy": {"permission": [{"action": "use"}]},
}


RECEIPT = {
    "kind": "delivery",
    "state": "contradicts",
    "said": "it names 1 files, and 2 were served",
    "files": 1,
    "sizeBytes": 5005,
    "at": AT,
}


@pytest.fixture
def processes(api, alpha):
    stranger = negotiation(TWO, state="TERMINATED", counterPartyId="did:web:gamma.example", assetId="manual")
    api.says("POST", "contractnegotiations/request", [negotiation(ONE), stranger])
    api.says("POST", "transferprocesses/request", [transfer(ONE), transfer(TWO, state="SUSPENDED")])
    api.says("POST", "contractagreements/request", [AGREED])
    api.says("POST", "receipts/request", [RECEIPT])


def at(noun, name, verb=""):
    return f"{noun}/{name.replace(':', '%3A')}{verb}"


def test_negotiations_are_a_table_within_80_columns(comity, processes):
    done = comity("negotiations")
    assert done.out == (
        "ID        Partner               Asset     Role      State       Begun\n"
        "00000001  Alpha Works           01234567  consumer  FINALIZED   2027-01-15 08:00\n"
        "00000002  did:web:gamma.exampl  manual    consumer  TERMINATED  2027-01-15 08:00\n"
        "          e\n"
    )


def test_transfers_are_a_table(comity, processes):
    assert comity("transfers").out == (
        "ID        Asset     Agreement  Role      State      Begun\n"
        "00000001  01234567  0000000a   provider  STARTED    2027-01-15 08:00\n"
        "00000002  01234567  0000000a   provider  SUSPENDED  2027-01-15 08:00\n"
    )


def test_an_agreement_is_retired_with_its_reason(comity, processes, api):
    api.says("POST", "contractagreements/retirements", {})
    done = comity("agreements", "retire", "000a", "--reason", "Other terms.")
    assert done.out == f"retired agreement {AGREEMENT}; nothing is transferred under it any more\n"
    assert api.bodies("POST", "contractagreements/retirements") == [
        {"agreementId": AGREEMENT, "reason": "Other terms."}
    ]
    assert comity("agreements", "retire", "000a").code == 2


def test_agreements_are_a_table(comity, processes):
    assert comity("agreements").out == (
        "ID        Partner      Asset     Terms               Signed\n"
        "0000000a  Alpha Works  01234567  use, no conditions  2027-01-15\n"
    )


@pytest.mark.parametrize(
    ("command", "noun"),
    [
        ("negotiations", "contractnegotiations"),
        ("agreements", "contractagreements"),
        ("transfers", "transferprocesses"),
    ],
)
def test_lists_for_programs_have_everything_and_empty_ones_say_what_to_do(comity, api, alpha, command, noun):
    api.says("POST", f"{noun}/request", [{"@id": ONE, "more": 1}], [])
    assert json.loads(comity(command, "--json").out) == [{"@id": ONE, "more": 1}]
    assert f"no {command} yet; comity get" in comity(command).out


def test_list_that_is_cut_says_how_to_see_more(comity, processes):
    assert comity("negotiations", "--limit", "2").err == "the newest 2; --limit shows more\n"


def test_one_negotiation_is_shown_by_the_beginning_of_its_id(comity, api, processes):
    api.says("GET", at("contractnegotiations", ONE), negotiation(ONE))
    assert comity("negotiations", "1111").out == (
        f"negotiation  {ONE}\n"
        "state        FINALIZED\n"
        "our role     consumer\n"
        "partner      Alpha Works (did:web:alpha.example)\n"
        f"asset        {ASSET}\n"
        f"agreement    {AGREEMENT}\n"
        "begun        2027-01-15 08:00\n"
    )


def test_one_transfer_and_one_agreement_are_shown(comity, api, processes):
    api.says("GET", at("transferprocesses", ONE), transfer(ONE, errorDetail="cut"))
    api.says("GET", at("contractagreements", AGREEMENT), AGREED)
    shown = comity("transfers", "show", "1111").out
    assert re.search(r"^error +cut$", shown, re.MULTILINE)
    assert re.search(
        r"^delivery receipt +1 files, 5.0 kB, 2027-01-15 08:00: contradicts it names 1 files",
        shown,
        re.MULTILINE,
    )
    assert comity("agreements", "aaaa").out == (
        f"agreement  {AGREEMENT}\n"
        "our role   consumer\n"
        "partner    Alpha Works (did:web:alpha.example)\n"
        f"asset      {ASSET}\n"
        "terms      use, no conditions\n"
        "signed     2027-01-15 08:00\n"
    )


def test_whole_id_is_used_without_asking_for_the_list(comity, api, alpha):
    api.says("GET", at("transferprocesses", ONE), transfer(ONE))
    api.says("POST", "receipts/request", [RECEIPT])
    found = json.loads(comity("transfers", ONE, "--json").out)
    assert (found["@id"], found["receipts"]) == (ONE, [RECEIPT])


@pytest.mark.parametrize("words", [["terminate", "1111"], ["1111", "terminate"]])
def test_verb_may_stand_before_or_after_the_id(comity, api, processes, words):
    api.says("POST", at("transferprocesses", ONE, "/terminate"), None, status=204)
    api.says("GET", at("transferprocesses", ONE), transfer(ONE, state="TERMINATING"))
    done = comity("transfers", *words, "--reason", "wrong revision")
    assert done.out == "transfer 11111111-aaaa-4aaa-8aaa-000000000001 is now TERMINATING\n"
    assert api.bodies("POST", at("transferprocesses", ONE, "/terminate")) == [{"reason": "wrong revision"}]


@pytest.mark.parametrize(
    ("command", "noun", "verb"),
    [
        ("negotiations", "contractnegotiations", each)
        for each in ("accept", "agree", "verify", "finalize", "terminate")
    ]
    + [("transfers", "transferprocesses", each) for each in ("suspend", "resume", "complete", "terminate")],
)
def test_every_move_goes_to_its_path(comity, api, alpha, command, noun, verb):
    api.says("POST", at(noun, ONE, f"/{verb}"), None, status=204)
    api.says("GET", at(noun, ONE), {"@id": ONE, "state": "NEXT"})
    done = comity(command, verb, ONE, "--json")
    assert (done.code, json.loads(done.out)["state"]) == (0, "NEXT")
    assert api.bodies("POST", at(noun, ONE, f"/{verb}")) == [{}]


def test_move_that_the_protocol_does_not_allow_is_exit_code_1(comity, api, alpha):
    api.fails("POST", at("transferprocesses", ONE, "/resume"), 409, "illegal-move", "it is not suspended")
    api.says("GET", at("transferprocesses", ONE), transfer(ONE, state="COMPLETED"))
    done = comity("transfers", "resume", ONE)
    assert (done.code, done.err) == (
        1,
        "error: resume is not possible: transfer 00000001 is COMPLETED\nhint: it is not suspended\n",
    )


def test_word_that_is_no_move_is_named_with_the_moves_there_are(comity):
    done = comity("transfers", ONE, "stop")
    assert done.code == 2
    assert "There is no stop here; there is: show, suspend, resume" in done.err


def test_unknown_beginning_is_not_found(comity, processes):
    done = comity("transfers", "999")
    assert (done.code, done.err) == (
        5,
        "error: there is no transfer 999\nhint: comity transfers shows them\n",
    )
