"""`comity evidence export`, and `verify` of the file that it writes."""

from __future__ import annotations

import json

import pytest

from comity.identity import did, jose
from support import bundles
from support.bundles import CONSUMER, KEYS, PROVIDER

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
    assert "  2  2026-09-21 14:13  partner   Agreement           both\n" in done.out
    for sentence in (
        "proven: the agreement is the offer of record 1 on every field",
        "proven: record 2 has the agreement word for word, signed by both",
        "proven: the partner cosigned checkpoints of the exporter's log with 5 of 7 records",
        f"proven: the agreement stands under the framework agreement {bundles.URN}",
        "left out: the message of record 6 (it holds an access token); its digest is there",
        "not there: no authority's time stamp covers all records; times are those of the exporter's clock",
        f"term: recipient eq {CONSUMER} (provider-enforced, by the exporter's word)",
    ):
        assert f"\n{sentence}\n" in done.out
    assert f"thumbprint {jose.thumbprint(bundles.jwk(PROVIDER))}, not compared with anything yet" in done.out
    assert "a bundle cannot prove whose key is whose" in done.err


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
    ],
)
def test_what_does_not_fit_a_bundle_is_refused(comity, file, words, said):
    done = comity("evidence", "verify", file, *words)
    assert (done.code, said in done.err) == (2, True)


def test_what_does_not_fit_a_database_is_refused(comity):
    done = comity("evidence", "verify", "--key", pin(CONSUMER))
    assert (done.code, "are about a bundle" in done.err) == (2, True)
