"""What the client reads and says: results, names, traces, ranges."""

import io
import json
import pickle
import subprocess
import sys

import pytest

from comity import errors
from comity.client import ExchangeError, choosing, distant, placing, reading, records, saving, tracing
from comity.client.stages import Progress, at

USE = {"permission": [{"action": "use"}]}


def until(day):
    constraint = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": day}
    return records.Offer({"permission": [{"action": "use", "constraint": [constraint]}]})


def test_a_result_is_the_json_with_attributes():
    asset = records.Asset(
        {"@id": "pump", "dct:title": "Pump", "comity:files": "3", "dcat:byteSize": 7, "new": 1}
    )
    assert (asset.id, asset.title, asset.files, asset.size_bytes, asset.offers) == ("pump", "Pump", 3, 7, [])
    assert json.loads(json.dumps(asset)) == asset
    assert asset["new"] == 1


def test_terms_of_an_offer_are_said_in_words():
    assert until("2027-12-31").terms == ("dateTime lteq 2027-12-31",)
    assert records.Offer({"permission": "nonsense"}).terms == ()


def test_an_asset_is_found_by_id_title_or_a_beginning_of_either():
    pump = records.Asset({"@id": "urn:comity:package:ab12", "dct:title": "Pump P-100"})
    other = records.Asset({"@id": "urn:comity:package:cd34", "dct:title": "Pipe"})
    for text in (pump.id, "pump p-100", "Pu", "ab", "urn:comity:package:ab"):
        assert choosing.asset([pump, other], text) is pump
    with pytest.raises(errors.NotFoundError):
        choosing.asset([pump, other], "rocket")
    with pytest.raises(errors.InvalidInputError, match="could be 2 assets"):
        choosing.asset([pump, other], "urn:comity")


def test_a_partner_in_an_address_is_named_whole():
    listed = [{"@id": "did:web:acme-two.example", "name": "acme-two"}]

    def found(written):
        steps = iter(distant.find_partner(written))
        next(steps)
        with pytest.raises(StopIteration) as end:
            steps.send(listed)
        return end.value.value

    assert choosing.partner(listed, "acme") is listed[0]
    for written in ("acme-two", "acme-two.example", "did%3Aweb%3Aacme-two.example"):
        assert found(written) == listed[0]
    steps = iter(distant.find_partner("acme"))
    next(steps)
    with pytest.raises(errors.NotFoundError, match="no partner acme on the list"):
        steps.send(listed)


def test_an_offer_is_taken_by_its_terms():
    offers = [until("2027-12-31"), until("2028-12-31")]
    assert choosing.offer(offers, ()) is offers[0]
    assert choosing.offer(offers, [USE, until("2028-12-31")]) is offers[1]
    assert choosing.offer(offers, [USE]) is None
    with pytest.raises(errors.InvalidInputError, match="accept: "):
        choosing.offer(offers, [{"permission": 7}])


def test_an_error_names_the_differences_of_the_nearest_offer():
    error = ExchangeError(
        "no", stage="negotiating", offered=[until("2027-12-31"), until("2028-12-31")], accepted=USE
    )
    assert [each.path for each in error.differences] == ["$.permission[0].constraint[0]"]
    assert "offered is dateTime lteq 2027-12-31, accepted would be nothing" in str(error)


def test_what_goes_wrong_in_a_stage_says_which_and_a_wrong_hash_is_of_verifying():
    with pytest.raises(ExchangeError) as caught, at("finding"):
        raise errors.NotFoundError("gone", hint="look")
    assert (caught.value.stage, caught.value.code, caught.value.hint) == ("finding", "not-found", "look")
    broken = errors.ComityError("other bytes")
    broken.code = "hash-mismatch"
    with pytest.raises(ExchangeError) as caught, at("receiving"):
        raise broken
    assert caught.value.stage == "verifying"


def test_an_error_travels_between_processes():
    error = ExchangeError(
        "no", stage="negotiating", reason="why", offered=[until("2027-12-31")], accepted=USE, hint="ask"
    )
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.differences, again.reason, again.hint) == (error.differences, "why", "ask")


def test_a_client_is_there_at_once_and_loads_nothing_that_it_does_not_need():
    code = "import sys; from comity.client import Connector; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "comity.client.connector" in loaded
    assert not loaded & {"aiohttp", "asyncio", "cryptography", "fsspec", "msgspec", "starlette", "typer"}


def test_a_bucket_is_no_folder():
    with pytest.raises(errors.InvalidInputError) as caught:
        placing.chosen("s3://release/pump")
    assert "comity get -o" in caught.value.hint


def test_progress_is_a_line():
    assert str(Progress("finding")) == "finding"
    assert str(Progress("receiving", 1, 4, 50, 200)) == "receiving, 25% of 200 bytes, 1/4 files"


def test_a_trace_is_a_line_without_query_or_content():
    told = []
    asked = tracing.Asked(told.append, "GET", "received/t/files/a?person=Anna")
    asked.answered(200, b'{"@id": "urn:x", "authorization": "token", "agreementId": null}')
    asked.failed("ConnectionRefusedError")
    assert [(each.path, each.status, each.ids) for each in told] == [
        ("received/t/files/a", 200, {"@id": "urn:x"}),
        ("received/t/files/a", 0, {}),
    ]
    assert "Anna" not in repr(told)
    assert "token" not in repr(told)
    assert str(told[1]).startswith("GET received/t/files/a no answer (ConnectionRefusedError) in ")


def test_a_trace_says_why_a_request_was_refused():
    told = []
    body = json.dumps([{"message": "it may not be opened so", "reasons": ["purpose eq repair"], "@id": "x"}])
    tracing.Asked(told.append, "GET", "received/t/files/a?person=Anna").answered(403, body.encode())
    tracing.Asked(told.append, "GET", "partners").answered(502, b"<html>")
    assert [(each.error, each.ids) for each in told] == [
        ("it may not be opened so; purpose eq repair", {}),
        ("", {}),
    ]
    assert "files/a 403 (it may not be opened so; purpose eq repair) in " in str(told[0])


def test_a_trace_may_go_to_the_error_stream(capsys):
    tracing.Asked(tracing.choose(True), "GET", "partners").answered(200)
    assert capsys.readouterr().err.startswith("GET partners 200 in ")
    assert tracing.choose(False) is None


def test_a_distant_file_is_read_in_ranges():
    content, asked = bytes(range(100)), []

    def fetch(begin, end):
        asked.append((begin, end))
        return content[begin:end]

    with io.BufferedReader(reading.Ranges(100, fetch), 16) as file:
        file.seek(-10, io.SEEK_END)
        assert file.read() == content[90:]
        file.seek(3)
        assert file.read(4) == content[3:7]
    assert asked == [(90, 100), (3, 19)]


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../b", ".hidden", ""])
def test_a_path_that_leads_out_is_refused(path, tmp_path):
    with pytest.raises(errors.InvalidInputError):
        saving.places_of(tmp_path, [records.File({"path": path})])


def test_a_link_in_the_folder_leads_nobody_out(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "parts").symlink_to(tmp_path)
    with pytest.raises(errors.StorageError, match="outside"):
        saving.places_of(tmp_path / "in", [records.File({"path": "parts/a"})])
