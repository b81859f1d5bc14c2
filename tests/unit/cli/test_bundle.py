"""`comity evidence export`, and `verify` of the file that it writes."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest

from comity import strict_json
from comity.cli import ids
from comity.evidence.bundle import packed
from comity.identity import did, jose
from support import bundles
from support.bundles import CONSUMER, KEYS, PROVIDER
from support.people import Authority, cms

NAME = bundles.AGREEMENT["@id"]
PATH = f"contractagreements/{NAME.replace(':', '%3A')}/evidence"


@pytest.fixture(scope="module")
def whole():
    return bundles.seal(bundles.make())


@pytest.fixture
def file(tmp_path, whole):
    path = tmp_path / "deal.json"
    path.write_bytes(whole)
    return str(path)


def pin(participant):
    return f"{participant}={jose.thumbprint(bundles.jwk(participant))}"


def test_export_writes_the_bundle_as_it_came_and_says_what_is_left_out(comity, api, tmp_path, whole):
    api.says("POST", "contractagreements/request", [{"@id": NAME}])
    api.says("POST", PATH, whole)
    done = comity("evidence", "export", "agreement")
    path = tmp_path / "agreement.evidence.json"
    assert path.read_bytes() == whole
    assert done.out.startswith(f"wrote {path.name}: 7 records, ")
    assert "left out 1 message that could still be used\n" in done.out
    assert done.err == f"check it anywhere with: comity evidence verify {path.name}\n"
    again = comity("evidence", "export", "agreement")
    assert (again.code, "is there already" in again.err) == (1, True)
    other = comity("evidence", "export", "agreement", "--output", "other.json", "--json")
    assert json.loads(other.out)["records"] == 7


def test_a_bundle_is_told_from_a_database_and_said_what_it_proves(comity, file):
    done = comity("evidence", "verify", file)
    assert done.code == 0
    assert "  2  2026-09-21 14:13  partner   agreement  Agreement           both\n" in done.out
    for sentence in (
        "proven: the agreement is the offer of record 1 on every field",
        "proven: record 2 has the agreement word for word, signed by both",
        "proven: record 4 says that it is in force (FINALIZED), signed by both",
        "proven: the partner cosigned checkpoints of the exporter's log with 5 of 7 records",
        "proven: the agreement stands under the framework agreement 'Joint production of brackets', "
        + bundles.URN,
        "not looked at: 1 signature of people; --signatories FILE names whom to trust",
        "left out: the message of record 6 (it holds an access token); its digest is there",
        "not there: no authority's time stamp covers all records; times are those of the exporter's clock",
        "terms, and who sees to each by the exporter's word:",
        f"  provider-enforced: recipient eq {CONSUMER}; comity:frameworkAgreement eq {ids.short(bundles.URN)}",
        "  contract-only: must attribute",
    ):
        assert f"\n{sentence}\n" in done.out
    assert f"thumbprint {jose.thumbprint(bundles.jwk(PROVIDER))}, not compared with anything yet" in done.out
    assert "a bundle cannot prove whose key is whose" in done.err


def test_an_agreement_that_is_not_in_force_is_not_taken_for_one(comity, tmp_path):
    parts = bundles.make()
    del parts["records"][3]
    for finalized, said in (
        (True, "the exporter's word: the agreement is in force"),
        (False, "NOT in force: "),
    ):
        parts["agreement"]["finalized"] = finalized
        (tmp_path / "deal.json").write_bytes(bundles.seal(parts))
        assert f"\n{said}" in comity("evidence", "verify", "deal.json").out


def test_what_the_exporter_alone_signed_is_not_called_proven(comity, tmp_path):
    (tmp_path / "deal.json").write_bytes(bundles.seal(bundles.make(signed=False)))
    said = comity("evidence", "verify", "deal.json").out
    assert "\nproven: record 2 has the agreement word for word, signed by both\n" in said
    assert "\nthe exporter's word: record 1 has the offer word for word, signed by exporter\n" in said


def test_keys_are_named_by_thumbprint_or_by_a_did_document(comity, file, tmp_path):
    document = did.document(PROVIDER, [KEYS[PROVIDER].public_jwk()], address="https://provider.example")
    (tmp_path / "did.json").write_text(json.dumps(document))
    done = comity("evidence", "verify", file, "--key", pin(CONSUMER), "--key", "did.json", "--json")
    shown = json.loads(done.out)
    assert [each["pinned"] for each in shown["keys"]] == [True, True]
    assert {each["signedAt"] for each in shown["records"]} == {each["at"] for each in shown["records"]}
    assert (shown["equalsLastOffer"], shown["agreementInRecord"], shown["offerInRecord"]) == (True, 2, 1)
    wrong = comity("evidence", "verify", file, "--key", pin(CONSUMER).replace(CONSUMER, PROVIDER))
    assert (wrong.code, wrong.err.startswith(f"error: key 2 ({PROVIDER}#key-1) has the thumbprint")) == (
        6,
        True,
    )


def test_the_first_thing_that_does_not_hold_is_named(comity, file, tmp_path, whole):
    (tmp_path / "deal.json").write_bytes(whole.replace(b'"seq":4', b'"seq":5'))
    done = comity("evidence", "verify", file)
    assert (done.code, done.out) == (6, "")
    assert done.err.startswith(
        "error: record 2 (ContractAgreementMessage received 2026-09-21 14:13:22 UTC) is not shown to be row 5"
    )


async def test_signatures_of_people_are_checked_with_the_certificates_that_are_named(comity, tmp_path):
    people, written = Authority("Ministry"), strict_json.canonical(bundles.FRAMEWORK)
    (tmp_path / "people.pem").write_bytes(people.pem)

    async def checked(signer, data=written, more=()):
        parts = bundles.make()
        signatures = parts["frameworks"][0]["signatures"]
        signatures[0]["content"] = packed(await cms(signer, data))
        signatures += [{"party": CONSUMER, "mediaType": "x", "content": packed(each)} for each in more]
        (tmp_path / "deal.json").write_bytes(bundles.seal(parts))
        return await asyncio.to_thread(
            comity, "evidence", "verify", "deal.json", "--signatories", "people.pem"
        )

    done = await checked(people.person("N. N."))
    said = f"proven: N. N. signed {ids.short(bundles.URN)} for {PROVIDER}, "
    assert (done.code, said in done.out) == (0, True)
    done = await checked(people.person("N. N."), more=[b"what the other party attached"])
    assert (done.code, said in done.out, "\nNOT proven: that somebody signed " in done.out) == (0, True, True)
    for signer, data, why in (
        (people.person("N. N."), b"another", "N. N. does not hold: what was signed is something else"),
        (Authority("Nobody").person("N. N."), written, "leads to no root that is trusted here"),
        (people.person("Other"), written, "the document names N. N. as signatories"),
    ):
        done = await checked(signer, data)
        assert (done.code, done.out, why in done.err) == (6, "", True)
        assert done.err.startswith(f"error: framework agreement 1: signature 1, for {PROVIDER} by ")


@pytest.mark.parametrize("at", [0, 1, 500])
def test_one_bit_is_enough(comity, file, tmp_path, whole, at):
    (tmp_path / "deal.json").write_bytes(whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
    done = comity("evidence", "verify", file)
    assert (done.code, f"byte {at} " in done.err) == (6, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--head", "0" * 64), "are about a database"),
        (("--signatures",), "are about a database"),
        (("--key", "nobody"), "neither DID=THUMBPRINT nor a file"),
        (("--key", "deal.json"), "is no DID document"),
        (("--key", pin(CONSUMER).replace(CONSUMER, "did:web:x")), "--key names did:web:x, and the bundle is"),
        (("--authority", "deal.json"), "deal.json: there are no certificates"),
        (("--signatories", "deal.json"), "deal.json: there are no certificates"),
    ],
)
def test_what_does_not_fit_a_bundle_is_refused(comity, file, words, said):
    done = comity("evidence", "verify", file, *words)
    assert (done.code, said in done.err) == (2, True)


def test_a_database_is_known_by_how_it_begins(comity, tmp_path):
    sqlite3.connect(tmp_path / "copy.json").execute("CREATE TABLE other (x)")
    done = comity("evidence", "verify", "copy.json")
    assert (done.code, "copy.json cannot be read: no such table" in done.err) == (1, True)


def test_what_does_not_fit_a_database_is_refused(comity):
    done = comity("evidence", "verify", "--key", pin(CONSUMER))
    assert (done.code, "are about a bundle" in done.err) == (2, True)
