import json
import shutil
import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest

from comity.db import migrate
from comity.evidence import entry
from comity.identity import jose, token


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """A database with 3 records that hold together."""
    path = tmp_path_factory.mktemp("evidence") / "comity.sqlite"
    migrate.migrate(path)
    before = entry.GENESIS
    with closing(sqlite3.connect(path)) as connection:
        for number in range(1, 4):
            record = entry.encode(
                entry.Entry(
                    at=number,
                    direction="in",
                    message="M",
                    sha256="",
                    sender="a",
                    receiver="b",
                    kind="k",
                    process_id="p",
                )
            )
            before = entry.link(before, record)
            connection.execute("INSERT INTO evidence (record, hash) VALUES (?, ?)", (record, before))
        connection.commit()
    return path, before.hex()


@pytest.fixture
def copy(chain, tmp_path):
    """Return a copy of the database that statements were run on, behind the back of its triggers."""

    def make(*statements):
        path = tmp_path / "copy.sqlite"
        shutil.copy(chain[0], path)
        with closing(sqlite3.connect(path)) as connection:
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in triggers:
                connection.execute(f'DROP TRIGGER "{name}"')
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return str(path)

    return make


def test_evidence_that_holds_gives_number_of_records_and_head(comity, chain):
    path, head = chain
    done = comity("evidence", "verify", str(path))
    assert done.code == 0
    assert done.out == (f"the evidence holds: 3 records, each follows from the one before it\nhead  {head}\n")
    assert json.loads(comity("evidence", "verify", str(path), "--json").out) == {
        "file": str(path),
        "size": 3,
        "head": head,
    }


def test_database_of_the_data_folder_is_the_usual_one(comity, chain, data_folder):
    database = data_folder / "comity.sqlite"
    shutil.copy(chain[0], database)
    try:
        assert "3 records" in comity("evidence", "verify").out
    finally:
        database.unlink()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE evidence SET record = x'7b7d' WHERE seq = 2", "evidence row 2 was altered"),
        ("UPDATE evidence SET record = 'text' WHERE seq = 2", "evidence row 2 was altered"),
        ("UPDATE evidence SET record = 7 WHERE seq = 1", "evidence row 1 was altered"),
        ("UPDATE evidence SET hash = 7 WHERE seq = 3", "evidence row 3 was altered"),
        ("DELETE FROM evidence WHERE seq = 2", "evidence row 2 is missing"),
    ],
)
def test_first_bad_row_is_named_with_exit_code_6(comity, copy, statement, said):
    done = comity("evidence", "verify", copy(statement))
    assert (done.code, done.out) == (6, "")
    assert said in done.err
    assert "hint: compare with a backup" in done.err


def test_cut_end_shows_against_a_head_that_was_kept(comity, copy, chain):
    cut = copy("DELETE FROM evidence WHERE seq = 3")
    assert comity("evidence", "verify", cut).code == 0
    done = comity("evidence", "verify", cut, "--head", chain[1])
    assert done.code == 6
    assert "evidence row 3 or later is missing" in done.err
    assert comity("evidence", "verify", str(chain[0]), "--head", chain[1].upper()).code == 0


def test_file_that_is_missing_or_no_database_is_named(comity, tmp_path):
    (tmp_path / "text").write_text("no database" * 100)
    assert comity("evidence", "verify", "none.sqlite").code == 5
    done = comity("evidence", "verify", "text")
    assert done.code == 1
    assert "text cannot be read" in done.err


def test_last_records_are_shown_as_a_table(comity, api, alpha):
    def record(seq, **more):
        return {
            "seq": seq,
            "hash": "00",
            "record": {
                "at": 1_800_000_000_000,
                "direction": "in",
                "message": "ContractAgreementMessage",
                "sender": "did:web:alpha.example",
                "receiver": "did:web:beta.example",
                "processId": "urn:uuid:11111111-aaaa-4aaa-8aaa-000000000001",
                "before": "REQUESTED",
                "after": "AGREED",
                **more,
            },
        }

    head = {"size": 42, "hash": "00"}
    api.says("GET", "evidence?after=0&limit=1", {"entries": [], "head": head})
    out = {
        "direction": "out",
        "message": "ContractAgreementVerificationMessage",
        "sender": "x",
        "after": "VERIFIED",
    }
    out["receiver"] = "did:web:alpha.example"
    api.says("GET", "evidence?after=40&limit=2", {"entries": [record(41), record(42, **out)], "head": head})
    approved = record(42, direction="here", message="Approval", outcome="approved", by="anna")
    api.says("GET", "evidence?after=40&limit=2", {"entries": [approved], "head": head})
    done = comity("evidence", "show", "--last", "2")
    here = comity("evidence", "show", "--last", "2").out
    assert "here  Approval" in here
    assert "approved by anna" in here
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == [
        "41",
        "2027-01-15",
        "08:00",
        "in",
        "Agreement",
        "Alpha",
        "Works",
        "00000001",
        "AGREED",
    ]
    assert "VERIFIED" in done.out


def test_head_that_is_none_is_a_wrong_input_and_no_broken_chain(comity):
    done = comity("evidence", "verify", "--head", "abc")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: --head abc is no head")


def test_no_records_are_said_in_words(comity, api):
    api.says("GET", "evidence?after=0&limit=1", {"entries": [], "head": {"size": 0, "hash": "00"}})
    api.says("GET", "evidence?after=0&limit=20", {"entries": [], "head": {"size": 0, "hash": "00"}})
    assert comity("evidence", "show").out == "no records yet; each message in or out makes one\n"


def a_record(text):
    return entry.Entry(
        at=1,
        direction="in",
        message="M",
        sha256="",
        sender="did:web:a",
        receiver="did:web:b",
        kind="k",
        process_id="p",
        token_sha256=sha256(text.encode()).hexdigest() if text else "",
    )


def test_signatures_are_checked_with_the_keys_that_were_kept(comity, tmp_path):
    path = tmp_path / "comity.sqlite"
    migrate.migrate(path)
    key = jose.SigningKey.generate("did:web:a#key-1")
    text = token.issue(key, issuer="did:web:a", audience="did:web:b", jti="j", now_s=1, body_sha256="")
    with closing(sqlite3.connect(path)) as connection:
        before = entry.GENESIS
        for each in (text, "", text):
            record = entry.encode(a_record(each))
            before = entry.link(before, record)
            connection.execute(
                "INSERT INTO evidence (record, hash, token) VALUES (?, ?, ?)", (record, before, each or None)
            )
        connection.commit()
        unknown = comity("evidence", "verify", str(path), "--signatures", "--json")
        jwk = json.dumps(key.public_jwk())
        row = ("did:web:a", key.kid, jwk.encode(), 1_800_000_000_000)
        connection.execute(
            "INSERT INTO public_key (participant_id, kid, jwk, seen_at) VALUES (?, ?, ?, ?)", row
        )
        connection.commit()
    assert json.loads(unknown.out)["signatures"] == {
        "held": 0,
        "bound": 0,
        "withoutKey": 2,
        "withoutToken": 1,
        "requests": 0,
        "replies": 0,
        "unsignedRequests": 0,
        "unsignedReplies": 0,
    }
    done = comity("evidence", "verify", str(path), "--signatures")
    assert (
        "signatures hold on 2 records, on 2 with the body; 1 have none, the key of 0 was not kept" in done.out
    )
    shown = comity("evidence", "keys", str(path))
    assert jose.thumbprint(key.public_jwk()) in shown.out
    assert json.loads(comity("evidence", "keys", str(path), "--json").out)[0]["kid"] == "did:web:a#key-1"


def test_a_record_whose_token_another_key_signed_is_named(comity, tmp_path):
    path = tmp_path / "comity.sqlite"
    migrate.migrate(path)
    key, other = (jose.SigningKey.generate("did:web:a#key-1") for _ in range(2))
    text = token.issue(key, issuer="did:web:a", audience="did:web:b", jti="j", now_s=1)
    record = entry.encode(a_record(text))
    with closing(sqlite3.connect(path)) as connection:
        row = (record, entry.link(entry.GENESIS, record), text)
        connection.execute("INSERT INTO evidence (record, hash, token) VALUES (?, ?, ?)", row)
        jwk = json.dumps(other.public_jwk()).encode()
        connection.execute("INSERT INTO public_key VALUES (?, ?, ?, ?)", ("did:web:a", key.kid, jwk, 1))
        connection.commit()
    done = comity("evidence", "verify", str(path), "--signatures")
    assert done.code == 6
    assert "evidence row 1 has a token whose signature is not that of did:web:a#key-1" in done.err
