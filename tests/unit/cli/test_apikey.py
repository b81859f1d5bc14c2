"""`comity apikey`."""

import json
import time

KEY = {"@id": "dashboard", "@type": "ApiKey", "role": "viewer", "createdAt": 1_767_225_600_000}


def test_a_key_is_made_and_shown_once(comity, api):
    api.says("POST", "apikeys", {**KEY, "key": "comity-abc"})
    done = comity("apikey", "add", "dashboard", "--role", "viewer")
    assert api.bodies("POST", "apikeys") == [{"name": "dashboard", "role": "viewer", "expiresAt": None}]
    assert done.out == "added  dashboard\nrole   viewer\nends   never\nkey    comity-abc\n"
    assert done.err == "\nit is not shown again; send it as X-Api-Key\n"


def test_a_key_ends_after_the_days_that_it_is_given(comity, api):
    api.says("POST", "apikeys", {**KEY, "key": "comity-abc", "expiresAt": 1_767_225_600_000})
    before = time.time()
    done = comity("apikey", "add", "dashboard", "--role", "viewer", "--days", "30")
    (sent,) = api.bodies("POST", "apikeys")
    assert before + 30 * 86400 <= sent["expiresAt"] / 1000 + 0.001 <= time.time() + 30 * 86400 + 0.001
    assert "ends   2026-01-01 00:00" in done.out


def test_a_key_for_programs_is_the_whole_answer(comity, api):
    api.says("POST", "apikeys", {**KEY, "key": "comity-abc"})
    assert (
        json.loads(comity("apikey", "add", "dashboard", "--role", "viewer", "--json").out)["key"]
        == "comity-abc"
    )


def test_a_role_that_is_none_is_a_wrong_command(comity, api):
    done = comity("apikey", "add", "x", "--role", "owner")
    assert done.code == 2
    assert "viewer" in done.err
    assert comity("apikey", "add", "x").code == 2
    assert api.bodies("POST", "apikeys") == []


def test_keys_are_a_table(comity, api):
    api.says(
        "GET", "apikeys", [KEY, {**KEY, "@id": "ci", "role": "operator", "expiresAt": 1_767_312_000_000}]
    )
    assert comity("apikeys", "list").out == (
        "Name       Role      Begun             Ends\n"
        "dashboard  viewer    2026-01-01 00:00  never\n"
        "ci         operator  2026-01-01 00:00  2026-01-02 00:00\n"
    )


def test_no_keys_say_what_to_do(comity, api):
    api.says("GET", "apikeys", [])
    assert "make one with: comity apikey add" in comity("apikey", "list").out


def test_a_key_is_removed_by_its_name(comity, api):
    api.says("DELETE", "apikeys/a%2Fb", None, status=204)
    done = comity("apikey", "remove", "a/b")
    assert (done.code, done.out) == (0, "removed a/b\n")


def test_a_role_that_is_too_low_is_a_refusal(comity, api):
    problem = {
        "message": "this needs the role admin; this API key has the role viewer",
        "type": "role-too-low",
    }
    api.says("GET", "apikeys", [problem], status=403)
    done = comity("apikey", "list")
    assert done.code == 4
    assert "admin" in done.err
