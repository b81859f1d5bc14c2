AGREEMENT = "urn:uuid:aaaaaaaa-aaaa-4aaa-8aaa-00000000000a"
WRITTEN = {
    "@id": "urn:uuid:11111111-aaaa-4aaa-8aaa-000000000001",
    "agreementId": AGREEMENT,
    "counterPartyId": "did:web:alpha.example",
    "assetId": "bracket",
    "place": "/media/stick/comity-carry/00",
    "files": 2,
    "sizeBytes": 5005,
    "code": "AAAA-BBBB",
}


def test_a_package_is_written_by_its_agreement_or_its_asset_and_the_code_is_shown(comity, api, alpha):
    api.says("POST", "contractagreements/request", [{"@id": AGREEMENT, "providerId": "did:web:beta.example"}])
    api.says("POST", "carries/write", WRITTEN)
    done = comity("carry", "write", "aaaa", "-o", "/media/stick", "--purpose", "repair")
    first, code = done.out.splitlines()
    assert first == "wrote bracket for Alpha Works to /media/stick/comity-carry/00: 2 files, 5.0 kB"
    assert code == "code   AAAA-BBBB"
    assert "tell Alpha Works this code by another way than the medium" in " ".join(done.err.split())
    comity("carry", "write", "bracket", "-o", "/media/stick", "--to", "alpha", "--revision", "2")
    assert api.bodies("POST", "carries/write") == [
        {"medium": "/media/stick", "agreementId": AGREEMENT, "purpose": "repair"},
        {
            "medium": "/media/stick",
            "assetId": "bracket",
            "counterPartyId": "did:web:alpha.example",
            "revision": 2,
        },
    ]


def test_what_is_taken_is_said_and_what_is_refused_has_its_reason_and_an_exit_code(comity, api, alpha):
    taken = {"state": "taken", "assetId": "bracket", "counterPartyId": "did:web:alpha.example"}
    refused = {
        "state": "refused",
        "place": "comity-carry/00",
        "why": "a file is missing",
        "hint": "ask again",
    }
    api.says("POST", "carries/take", [taken], [taken, refused])
    done = comity("carry", "take", "/media/stick", "--code", "AAAA")
    assert (done.code, done.out) == (0, "taken  bracket  Alpha Works\n")
    done = comity("carry", "take", "/media/stick", "-o", "/srv/in")
    assert done.code == 1
    assert "refused  comity-carry/00: a file is missing" in done.out
    assert "1 of 2 could not be taken" in done.err
    assert api.bodies("POST", "carries/take") == [
        {"medium": "/media/stick", "destination": "store:", "code": "AAAA"},
        {"medium": "/media/stick", "destination": "/srv/in"},
    ]


def test_receipts_that_came_back_are_listed(comity, api, alpha):
    about = {"assetId": "bracket", "counterPartyId": "did:web:alpha.example"}
    kept = {**about, "state": "taken", "receipt": "comity:DeletionReceiptNotice"}
    none = {**about, "state": "none", "why": "there is no receipt on it yet"}
    api.says("POST", "carries/receipts", [kept, none], [])
    assert comity("carry", "receipts", "/media/stick").out.splitlines() == [
        "taken  bracket  Alpha Works (deleted there)",
        "no receipt yet  bracket  Alpha Works: there is no receipt on it yet",
    ]
    assert comity("carry", "receipts", "/media/stick").out == "there is nothing on it for us\n"
