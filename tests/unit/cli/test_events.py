"""`comity events`: the last ones, of one process, as text and as JSON."""

import json

PROCESS = "urn:uuid:019ad0de-0000-7000-a000-00000000abcd"


def event(seq, kind="contract.negotiation.agreed", subject=PROCESS, **data):
    said = {"counterPartyId": "did:web:alpha.example", "assetId": "bracket", **data}
    return {
        "id": f"urn:{seq}",
        "type": kind,
        "subject": subject,
        "time": "2026-11-24T10:20:30.400Z",
        "sequence": f"{seq:020d}",
        "data": said,
    }


def page(*found, following=9, more=False, oldest=1, newest=9):
    return {"events": list(found), "next": following, "more": more, "oldest": oldest, "newest": newest}


def test_the_last_events_are_a_line_each(comity, api, alpha):
    ended = event(9, "contract.negotiation.terminated", reason="enough\x1b[31m")
    api.says("GET", "events?after=0&limit=1", page())
    api.says("GET", "events?after=7&limit=1000", page(event(8), ended))
    done = comity("events", "--last", "2")
    assert done.code == 0
    assert done.out.splitlines() == [
        "2026-11-24 10:20  contract.negotiation.agreed      0000abcd  Alpha Works  bracket",
        "2026-11-24 10:20  contract.negotiation.terminated  0000abcd  Alpha Works  bracket  enough?[31m",
    ]


def test_what_is_offered_is_a_line_with_its_own_name(comity, api, alpha):
    made = {**event(9, "asset.created", "bracket"), "data": {"assetId": "bracket"}}
    api.says("GET", "events?after=0&limit=1", page())
    api.says("GET", "events?after=0&limit=1000", page(made))
    assert comity("events").out == "2026-11-24 10:20  asset.created                    bracket\n"


def test_events_as_json_are_what_the_connector_says(comity, api):
    api.says("GET", "events?after=0&limit=1", page())
    api.says("GET", "events?after=0&limit=1000", page(event(8), event(9)))
    done = comity("events", "--json")
    assert json.loads(done.out) == [event(8), event(9)]


def test_events_of_one_process_and_of_some_kinds_are_searched_in_all_pages(comity, api, alpha):
    api.says("GET", "events?after=0&limit=1", page(oldest=5, newest=900))
    said = "limit=1000&processId=urn%3Auuid%3A019ad0de-0000-7000-a000-00000000abcd&types=contract%2Casset"
    api.says("GET", f"events?after=4&{said}", page(event(8), event(9), following=700, more=True))
    api.says("GET", f"events?after=700&{said}", page(event(701), following=900, newest=900))
    done = comity(
        "events", "--process", PROCESS, "--type", "contract", "--type", "asset", "--last", "2", "--json"
    )
    assert [each["id"] for each in json.loads(done.out)] == ["urn:9", "urn:701"]


def test_a_process_may_be_named_by_how_its_id_ends(comity, api, alpha):
    api.says("POST", "contractnegotiations/request", [])
    api.says("POST", "transferprocesses/request", [{"@id": PROCESS}])
    api.says("GET", "events?after=0&limit=1", page())
    said = "limit=1000&processId=urn%3Auuid%3A019ad0de-0000-7000-a000-00000000abcd"
    api.says("GET", f"events?after=0&{said}", page(event(3, "transfer.process.started")))
    assert "transfer.process.started" in comity("events", "--process", "abcd").out


def test_no_events_are_told_so(comity, api, alpha):
    api.says("GET", "events?after=0&limit=1", page(newest=0, following=0))
    api.says("GET", "events?after=0&limit=1000", page(newest=0, following=0))
    assert comity("events").out.startswith("no events yet")


def test_a_kind_that_no_event_has_is_an_error_with_the_names(comity, api):
    api.says("GET", "events?after=0&limit=1", page())
    api.fails(
        "GET",
        "events?after=0&limit=1000&types=x",
        400,
        "invalid-input",
        "no event has a name that begins with 'x'",
        hint="there is: asset.created",
    )
    api.says("GET", "partners", [])
    done = comity("events", "--type", "x")
    assert done.code == 2
    assert "hint: there is: asset.created" in done.err
