import json

import pytest

from comity.client import connector, watch

ASSET = "urn:comity:package:0123456789abcdef0123456789abcdef"
EXCHANGE = "urn:uuid:eeeeeeee-0000-4000-8000-000000000001"
AGREEMENT = "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001"
USE = [
    {
        "action": "use",
        "constraint": [{"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-12-31"}],
    }
]
DATASET = {
    "@id": ASSET,
    "dct:title": "Turbine housing",
    "dcat:byteSize": "23100000",
    "comity:files": "4",
    "hasPolicy": [{"@id": "offer-1", "@type": "Offer", "permission": USE}],
}


def status(stage, **more):
    return {
        "@id": EXCHANGE,
        "@type": "Exchange",
        "counterPartyId": "did:web:alpha.example",
        "assetId": ASSET,
        "destination": "/in",
        "stage": stage,
        "negotiationId": "urn:uuid:nnnnnnnn",
        "negotiationState": "REQUESTED",
        "agreementId": None,
        "transferState": None,
        "filesDone": 0,
        "filesTotal": 0,
        "bytesDone": 0,
        "bytesTotal": 0,
        "manifestSha256": "ab" * 32,
        "error": "",
        "createdAt": 1_800_000_000_000,
        **more,
    }


NEGOTIATING = status("NEGOTIATING")
PULLING = status(
    "PULLING", agreementId=AGREEMENT, filesDone=1, filesTotal=4, bytesDone=5, bytesTotal=23_100_000
)
COMPLETED = {**PULLING, "stage": "COMPLETED", "filesDone": 4, "bytesDone": 23_100_000}


@pytest.fixture
def offered(api, alpha, monkeypatch):
    monkeypatch.setattr(watch, "INTERVAL_S", 0)
    api.says("POST", "exchanges/request", [])
    api.says("POST", "catalog/dataset/request", DATASET)
    api.says("POST", "exchanges", {"@id": EXCHANGE, "@type": "IdResponse"})
    api.says(
        "GET",
        "contractagreements/" + AGREEMENT.replace(":", "%3A"),
        {"@id": AGREEMENT, "policy": {"permission": USE}},
    )


def goes(api, *statuses):
    api.says("GET", "exchanges/" + EXCHANGE.replace(":", "%3A"), *statuses)


def without_time(text):
    return [line.rsplit(" in ", 1)[0] if line.startswith("received") else line for line in text.splitlines()]


def test_get_tells_each_stage_once_where_there_is_no_terminal(comity, api, offered):
    goes(api, NEGOTIATING, NEGOTIATING, PULLING, PULLING, COMPLETED)
    done = comity("get", "alpha", ASSET, "-o", "in")
    assert done.code == 0
    assert without_time(done.out) == [
        "finding      Turbine housing, 4 files, 23.1 MB, at Alpha Works",
        "negotiating  use until 2027-12-31",
        "agreed       aaaaaaaa-0000-4000-8000-000000000001",
        "             use until 2027-12-31",
        "pulling      4 files, 23.1 MB",
        "received     4 files, 23.1 MB",
        "checked      SHA-256 of every file, against the manifest",
        f"manifest     {'ab' * 32}",
        "folder       /in",
        "             outside the node's store its terms are yours to keep: this is in the evidence as an export",
    ]


def test_without_a_folder_it_goes_into_the_store_and_says_how_to_open_it(comity, api, offered):
    kept = {**COMPLETED, "destination": "store:"}
    goes(api, kept)
    done = comity("get", "alpha", ASSET)
    assert done.code == 0
    assert api.bodies("POST", "exchanges")[0]["destination"] == "store:"
    assert "kept         encrypted, in the node's store\n" in done.out
    assert "comity received open" in done.out
    assert "export" not in done.out


@pytest.mark.parametrize(
    ("sealed_by", "said"),
    [
        ("did:web:alpha.example", "sealed by    did:web:alpha.example\n"),
        ("", "sealed by    nobody: the partner gives no seal\n"),
    ],
)
def test_get_says_whose_seal_a_package_has(comity, api, offered, sealed_by, said):
    goes(api, {**COMPLETED, "sealedBy": sealed_by})
    assert said in comity("get", "alpha", ASSET, "-o", "in").out


def test_exchange_that_was_too_quick_to_watch_tells_the_same(comity, api, offered):
    goes(api, COMPLETED)
    done = comity("get", "alpha", ASSET, "-o", "in")
    labels = [line.split(" ")[0] for line in done.out.splitlines() if not line.startswith(" ")]
    assert labels == [
        "finding",
        "negotiating",
        "agreed",
        "pulling",
        "received",
        "checked",
        "manifest",
        "folder",
    ]


def test_get_asks_for_the_offer_that_was_shown_and_an_absolute_folder(comity, api, offered, tmp_path):
    goes(api, COMPLETED)
    comity("get", "alpha", ASSET, "-o", "a/../in")
    assert api.bodies("POST", "exchanges") == [
        {
            "counterPartyId": "did:web:alpha.example",
            "assetId": ASSET,
            "destination": str(tmp_path / "in"),
            "offerId": "offer-1",
            "policy": DATASET["hasPolicy"][0],
        }
    ]


def test_get_tells_how_fast_it_may_come(comity, api, offered):
    goes(api, COMPLETED)
    comity("get", "alpha", ASSET, "-o", "in", "--limit", "5MB/s")
    assert api.bodies("POST", "exchanges")[0]["limit"] == "5MB/s"


@pytest.mark.parametrize("asset", ["0123", "turbine housing"])
def test_beginning_of_an_id_or_a_title_is_looked_for_in_the_catalog(comity, api, offered, asset):
    goes(api, COMPLETED)
    api.replies["POST", "catalog/dataset/request"].clear()
    api.fails("POST", "catalog/dataset/request", 502, "delivery-refused", "the partner has no such dataset")
    api.says("POST", "catalog/request", {"dataset": DATASET})
    assert comity("get", "alpha", asset, "-o", "in").code == 0
    assert api.bodies("POST", "exchanges")[0]["assetId"] == ASSET


@pytest.mark.parametrize(
    ("held", "hint"),
    [([{"@id": AGREEMENT}], "still hold: comity agreements"), ([], "comity catalog")],
)
def test_what_is_not_offered_any_more_leads_to_the_agreement_about_it(comity, api, offered, held, hint):
    api.replies["POST", "catalog/dataset/request"].clear()
    api.fails("POST", "catalog/dataset/request", 502, "delivery-refused", "the partner has no such dataset")
    api.says("POST", "catalog/request", {"dataset": []})
    api.says("POST", "contractagreements/request", held)
    done = comity("get", "alpha", ASSET, "-o", "got")
    assert (done.code, hint in done.err) == (5, True)


def test_get_for_programs_prints_the_end_and_nothing_else(comity, api, offered):
    goes(api, NEGOTIATING, COMPLETED)
    done = comity("get", "alpha", ASSET, "-o", "in", "--json")
    assert json.loads(done.out) == COMPLETED
    assert done.err == ""


def test_second_get_joins_the_exchange_although_the_partner_is_away(comity, api, offered, tmp_path):
    going_on = {**NEGOTIATING, "destination": str(tmp_path / "in")}
    for path in ("exchanges/request", "catalog/dataset/request"):
        api.replies["POST", path].clear()
    api.says("POST", "exchanges/request", [{**going_on, "stage": "COMPLETED", "@id": "old"}, going_on])
    goes(api, COMPLETED)
    done = comity("get", "alpha", "0123", "-o", "in", "--limit", "5MB/s")
    assert done.code == 0
    joined, limited = done.out.splitlines()[:2]
    assert joined == f"joining      {ASSET}, begun 2027-01-15 08:00"
    assert limited.strip() == "--limit does not count: it goes on as fast as it was begun"
    assert api.bodies("POST", "exchanges") == []


def test_exchange_into_another_folder_is_not_joined(comity, api, offered, tmp_path):
    api.replies["POST", "exchanges/request"].clear()
    api.says("POST", "exchanges/request", [{**NEGOTIATING, "destination": str(tmp_path / "other")}])
    goes(api, COMPLETED)
    comity("get", "alpha", ASSET, "-o", "in")
    assert len(api.bodies("POST", "exchanges")) == 1


def test_time_limit_is_exit_code_7_and_says_how_to_watch_again(comity, api, offered):
    goes(api, NEGOTIATING)
    done = comity("get", "alpha", ASSET, "-o", "my folder", "--timeout", "0")
    assert done.code == 7
    assert done.err == (
        "error: not finished after 0 s\n"
        f"hint: the connector goes on; watch again with: comity get alpha {ASSET} -o 'my folder'\n"
    )


def test_ctrl_c_is_exit_code_7_and_says_that_the_connector_goes_on(comity, api, offered, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(connector.Connector, "follow", interrupt)
    done = comity("get", "alpha", ASSET, "-o", "in")
    assert done.code == 7
    assert "the connector goes on; watch again with: comity get alpha" in done.err


def test_refused_negotiation_is_exit_code_4(comity, api, offered):
    goes(api, status("FAILED", negotiationState="TERMINATED", error="recipient eq did:web:other"))
    done = comity("get", "alpha", ASSET, "-o", "in")
    assert done.code == 4
    assert done.err.startswith(
        "error: there is no agreement: recipient eq did:web:other\nhint: ask the partner"
    )


def test_transfer_that_the_partner_ended_is_exit_code_4(comity, api, offered):
    goes(
        api,
        {
            **PULLING,
            "stage": "FAILED",
            "transferState": "TERMINATED",
            "error": "count lteq 2",
            "errorType": "",
        },
    )
    done = comity("get", "alpha", ASSET, "-o", "in")
    assert done.code == 4
    assert "error: it was not received: count lteq 2\n" in done.err


@pytest.mark.parametrize(
    ("kind", "exit_code"), [("hash-mismatch", 6), ("storage", 1), ("delivery-refused", 4), (None, 1)]
)
def test_failed_pull_ends_with_the_code_of_what_failed(comity, api, offered, kind, exit_code):
    goes(
        api,
        {**PULLING, "stage": "FAILED", "error": "geometry.step is not what was promised", "errorType": kind},
    )
    done = comity("get", "alpha", ASSET, "-o", "in")
    assert done.code == exit_code
    assert "error: it was not received: geometry.step is not what was promised\n" in done.err
    assert "go on with: comity get alpha" in done.err
    assert "received     " not in done.out


def test_failure_for_programs_prints_the_end_too(comity, api, offered):
    end = {**PULLING, "stage": "FAILED", "error": "disk full"}
    goes(api, end)
    done = comity("get", "alpha", ASSET, "-o", "in", "--json")
    assert (done.code, json.loads(done.out)) == (1, end)


def test_suspension_and_trouble_are_told_once_each(comity, api, offered):
    held = {
        **PULLING,
        "transferState": "SUSPENDED",
        "transferId": "urn:uuid:01a20ebc-ee0b-7768-afb9-eed1c1497874",
    }
    cut = {**PULLING, "error": "the connection was cut"}
    goes(api, held, held, PULLING, cut, cut, COMPLETED)
    told = [line for line in comity("get", "alpha", ASSET, "-o", "in").out.splitlines() if "waiting" in line]
    assert told == [
        "waiting      the transfer is suspended (comity transfers c1497874 says why); it goes on when it is resumed",
        "waiting      the connection was cut; it is tried again",
    ]


def test_offer_is_chosen_by_its_number(comity, api, offered):
    api.replies["POST", "catalog/dataset/request"].clear()
    second = {"@id": "offer-2", "permission": [{"action": "use"}]}
    api.says("POST", "catalog/dataset/request", {**DATASET, "hasPolicy": [*DATASET["hasPolicy"], second]})
    goes(api, COMPLETED)
    assert "the first of 2 offers; --offer chooses" in comity("get", "alpha", ASSET, "-o", "in").out
    assert "negotiating  use, no conditions" in comity("get", "alpha", ASSET, "-o", "in", "--offer", "2").out
    assert [body["offerId"] for body in api.bodies("POST", "exchanges")] == ["offer-1", "offer-2"]
    assert comity("get", "alpha", ASSET, "-o", "in", "--offer", "3").code == 5


def test_asset_without_an_offer_is_not_found(comity, api, offered):
    api.replies["POST", "catalog/dataset/request"].clear()
    api.says("POST", "catalog/dataset/request", {"@id": ASSET, "hasPolicy": []})
    assert comity("get", "alpha", ASSET, "-o", "in").code == 5


def test_no_wait_starts_it_and_ends(comity, api, offered):
    done = comity("get", "alpha", ASSET, "-o", "in", "--no-wait")
    assert done.code == 0
    assert done.out.endswith(f"started; watch with: comity get alpha {ASSET} -o in\n")


def test_partner_that_is_not_on_the_list_is_not_found(comity, api, offered):
    done = comity("get", "gamma", ASSET, "-o", "in")
    assert done.code == 5
    assert "comity partner add" in done.err
