"""Our own keys over the management API."""

import pytest


async def keys(api):
    answer = await api.get("identity")
    assert answer.status == 200
    return {each["kid"].rpartition("#")[2]: each for each in answer.json["keys"]}


async def test_the_identity_is_shown_with_its_keys_and_no_private_one(api, site):
    answer = await api.get("identity")
    assert (answer.json["@id"], answer.json["@type"]) == (site.did, "Identity")
    (key,) = answer.json["keys"]
    assert (key["kid"], key["state"]) == (f"{site.did}#key-1", "SIGNING")
    assert key["publicKeyJwk"].keys() == {"kty", "crv", "x", "y", "alg", "kid"}
    assert len(key["thumbprint"]) == 43


async def test_a_rotation_shows_at_once_when_the_new_key_will_sign_and_the_old_one_leave(api):
    answer = await api.post("identity/rotate", {"leadSeconds": 100, "graceSeconds": 50})
    assert answer.status == 200
    old, new = answer.json["keys"]
    assert (old["state"], new["state"]) == ("SIGNING", "WAITING")
    assert new["signsFrom"] - new["createdAt"] == 100_000
    assert old["leavesAt"] - new["signsFrom"] == 50_000
    again = await api.post("identity/rotate", {})
    assert (again.status, again.problem["type"]) == (409, "conflict")
    assert "key-2" in again.problem["message"]


@pytest.mark.parametrize("body", [{}, {"leadSeconds": None}, None])
async def test_a_rotation_that_says_nothing_has_the_times_that_break_nothing(api, body):
    answer = await api.post("identity/rotate", body)
    old, new = answer.json["keys"]
    assert new["signsFrom"] - new["createdAt"] == 330_000
    assert old["leavesAt"] - new["signsFrom"] == 86_400_000


@pytest.mark.parametrize("value", [-1, 1.5, True, "60", [], 10**12])
@pytest.mark.parametrize("name", ["leadSeconds", "graceSeconds"])
async def test_a_time_that_is_none_is_refused_with_its_place(api, name, value):
    answer = await api.post("identity/rotate", {name: value})
    assert (answer.status, answer.problem["path"]) == (400, f"$.{name}")
    assert len(await keys(api)) == 1


async def test_a_key_is_retired_by_its_kid_and_another_signs(api, site):
    for name in ("key-1", f"{site.did}#key-2".replace(":", "%3A").replace("#", "%23")):
        assert (await api.delete(f"identity/{name}")).status == 204
    found = await keys(api)
    assert {kid: each["state"] for kid, each in found.items()} == {
        "key-1": "RETIRED", "key-2": "RETIRED", "key-3": "SIGNING",
    }  # fmt: skip


async def test_a_key_that_is_not_there_is_not_found(api):
    answer = await api.delete("identity/key-9")
    assert (answer.status, answer.problem["hint"]) == (404, "there are: key-1")


async def test_a_folder_that_cannot_be_written_changes_nothing(api, site, monkeypatch):
    from comity.storage import descriptor  # noqa: PLC0415  only here

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(descriptor, "write_whole", full)
    answer = await api.post("identity/rotate", {})
    assert (answer.status, answer.problem["type"]) == (422, "storage")
    assert len(await keys(api)) == 1
