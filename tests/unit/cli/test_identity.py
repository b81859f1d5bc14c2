import json

import pytest

KEYS = [
    {"kid": "did:web:us#key-1", "state": "PUBLISHED", "thumbprint": "t1", "createdAt": 0, "signsFrom": 0,
     "leavesAt": 1_800_000_000_000},
    {"kid": "did:web:us#key-2", "state": "SIGNING", "thumbprint": "t2", "createdAt": 1, "signsFrom": 1_799_000_000_000},
]  # fmt: skip
IDENTITY = {"@id": "did:web:us", "@type": "Identity", "keys": KEYS}


def test_keys_are_shown_with_what_each_is(comity, api):
    api.says("GET", "identity", IDENTITY)
    lines = comity("identity", "show").out.splitlines()
    assert lines[0] == "participant  did:web:us"
    assert lines[2].split() == ["Key", "State", "Signs", "from", "Leaves", "Thumbprint"]
    assert lines[3].startswith("key-1  published, signs no more  the beginning")
    assert lines[4].split()[:2] == ["key-2", "signs"]
    assert lines[4].endswith("t2")


def test_keys_for_programs_are_the_whole_answer(comity, api):
    api.says("GET", "identity", IDENTITY)
    assert json.loads(comity("identity", "show", "--json").out) == IDENTITY


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ((), {"leadSeconds": 330, "graceSeconds": 86_400}),
        (("--lead", "7d", "--grace", "30m"), {"leadSeconds": 604_800, "graceSeconds": 1800}),
        (("--lead", "0", "--grace", "10s"), {"leadSeconds": 0, "graceSeconds": 10}),
    ],
)
def test_a_rotation_says_its_times_and_what_partners_with_pins_do(comity, api, words, body):
    api.says("POST", "identity/rotate", IDENTITY)
    done = comity("identity", "rotate", *words)
    assert api.bodies("POST", "identity/rotate") == [body]
    assert "comity partner add did:web:us --pin" in done.err


@pytest.mark.parametrize("time", ["soon", "5 weeks", "-1h", "1.5h", "", "9999999999s"])
def test_a_time_that_is_none_is_refused_before_the_connector_is_asked(comity, api, time):
    done = comity("identity", "rotate", "--grace", time)
    assert (done.code, api.asked) == (2, [])
    assert "330s, 30m, 24h, 7d" in done.err


def test_a_key_is_retired_by_its_name(comity, api):
    api.says("DELETE", "identity/key-1", None, status=204)
    api.says("GET", "identity", IDENTITY)
    done = comity("identity", "retire", "key-1")
    assert done.code == 0
    assert api.asked[0][:2] == ("DELETE", "identity/key-1")
