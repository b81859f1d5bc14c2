import inspect
import socket

import pytest

from comity import errors
from comity.client import aconnector, calls, connector, problems
from unit.client import standin


@pytest.fixture
def client(api):
    return connector.Connector(api.address, standin.KEY)


def test_request_carries_the_key_and_json(api, client):
    api.says("POST", "exchanges", {"@id": "e"})
    assert client.start_exchange("did:web:a", "asset", "/in", offer_id="o") == {"@id": "e"}
    [(_, _, body, headers)] = api.asked
    assert body == {"counterPartyId": "did:web:a", "assetId": "asset", "destination": "/in", "offerId": "o"}
    assert headers["X-Api-Key"] == standin.KEY
    assert headers["Content-Type"] == "application/json"


def test_ids_are_percent_encoded_as_one_segment(api, client):
    api.says("DELETE", "partners/did%3Aweb%3Aa%2F..%2Fb", None, status=204)
    client.remove_partner("did:web:a/../b")
    assert len(api.asked) == 1


def test_answer_without_body_is_none(api, client):
    api.says("POST", "transferprocesses/t/suspend", None, status=204)
    assert client.request("POST", "transferprocesses/t/suspend", {}) is None


def test_error_of_the_api_is_raised_as_the_class_that_it_was(api, client):
    api.fails("GET", "exchanges/x", 404, "not-found", "there is no exchange x")
    with pytest.raises(errors.NotFoundError, match="there is no exchange x"):
        client.exchange("x")


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"null"), (302, b"{}"), (404, b"nginx")]
)
def test_something_that_is_no_connector_is_said_to_be_none(api, client, status, body):
    api.says("GET", "partners", body, status=status)
    with pytest.raises(problems.UnreachableError, match="no connector's management API"):
        client.partners()


def test_refused_connection_says_how_to_start_the_connector():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(problems.UnreachableError, match="Connection refused") as caught:
            connector.Connector(address, "k").partners()
    assert caught.value.hint == "start it with: comity serve"


def test_silence_is_an_error_after_the_time_limit():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(problems.UnreachableError, match=r"did not answer within 0\.05 s"):
            connector.Connector(address, "k", timeout_s=0.05).partners()


@pytest.mark.parametrize("address", ["", "127.0.0.1:8281", "ftp://host", "http://"])
def test_address_that_is_none_is_refused(address):
    with pytest.raises(errors.SettingsError):
        connector.Connector(address, "k")


def test_path_of_the_address_is_kept(api):
    api.says("GET", "/below/management/v3/partners", [])
    assert connector.Connector(f"{api.address}/below/", "k").partners() == []


def test_all_pages_are_fetched(api, client, monkeypatch):
    monkeypatch.setattr(calls, "PAGE", 2)
    api.says("POST", "contractagreements/request", [{"@id": "a"}, {"@id": "b"}], [{"@id": "c"}])
    assert [each["@id"] for each in client.find_all(connector.AGREEMENTS)] == ["a", "b", "c"]
    first, second = api.bodies("POST", "contractagreements/request")
    assert (first["offset"], second["offset"], first["sortOrder"]) == (0, 2, "DESC")
    assert first["sortField"] == "contractSigningDate"


def test_what_is_not_said_of_a_partner_is_not_sent(api, client):
    api.says("POST", "partners", {"@id": "did:web:a"})
    client.add_partner("did:web:a", name=None, purpose=None, spatial=["DE"])
    client.add_partner("did:web:a", name="", purpose=[], pin=False)
    assert api.bodies("POST", "partners") == [
        {"participant": "did:web:a", "spatial": ["DE"]},
        {"participant": "did:web:a", "name": "", "purpose": [], "pin": False},
    ]


async def answered(call):
    coming = call()
    return await coming if inspect.isawaitable(coming) else coming


@pytest.mark.parametrize("kind", [connector.Connector, aconnector.AsyncConnector])
async def test_a_keyword_that_nobody_knows_is_refused_before_anything_is_asked(api, kind):
    client = kind(api.address, standin.KEY)
    alpha = client.partner("alpha")
    wrong = [
        lambda: client.publish("/srv/plans", asset_id="plans", polcy={"permission": []}),
        lambda: client.add_partner("did:web:a", purposs=["repair"]),
        lambda: client.start_exchange("did:web:a", "field", "store:", revison=99),
        lambda: client.begin_reading("did:web:a", "field", purpos="s"),
        lambda: client.ask("a", "why", fils=[]),
        lambda: client.settle_inquiry("i", "grant", limit={}),
        lambda: client.carry("/media", asset="a"),
        lambda: client.change_framework("urn:f", "end", reson="r"),
        lambda: alpha.get("field", to="x", revison=99),
        lambda: alpha.get("field", to="x", acept="nonsense"),
        lambda: alpha.files("field", purpos="s"),
        lambda: alpha.read("field", purpos="s"),
        lambda: client.save("t", to="x", revision=3),
    ]
    for call in wrong:
        with pytest.raises(TypeError, match="keyword argument '"):
            await answered(call)
    assert api.asked == []


def test_what_is_accepted_is_a_policy_or_several(api, client):
    for wrong in ([], (), "foo", ["x"], 7, [{}, "x"]):
        with pytest.raises(errors.InvalidInputError, match="accept must be a policy or a list of policies"):
            client.partner("alpha").get("field", to="x", accept=wrong)
    assert api.asked == []


def test_one_nationality_may_be_a_text():
    assert connector.wanted("alpha", "field", {"nationality": "DE"}).nationality == ("DE",)
