"""What of a record goes into a bundle, and what stays here because it could still be used."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace

import pytest

from comity import errors, strict_json
from comity.controlplane.export_records import MARGIN_S, Exhibits
from comity.db.evidence import Beside
from comity.evidence import entry
from comity.identity import jose, token, verify

US, THEM = "did:web:us.example", "did:web:them.example"
KEY = jose.SigningKey.generate("key-1")
NOW_S = 1_790_000_000
BODY, ANSWER = b'{"@type":"ContractRequestMessage"}', b'{"state":"REQUESTED"}'


def digest(content):
    return sha256(content).hexdigest()


def kept(beside, *, at_s=NOW_S, inside="", **changed):
    connector = SimpleNamespace(participant_id=US, now_ms=lambda: at_s * 1000)
    reply = entry.Reply(status=201, sha256=digest(ANSWER))
    said = {"sha256": digest(BODY), "token_sha256": digest(beside.token.encode()), "reply": reply, **changed}
    parties = {"sender": THEM, "receiver": US, "kind": "negotiation", "process_id": "urn:p"}
    record = entry.Entry(at=1, direction="in", message="M", **parties, **said)
    written = strict_json.canonical({"token": inside}) if inside else entry.encode(record)
    return Exhibits(connector, THEM, ["urn:p"])._beside(record, written, beside)


def issued(*, until_s=NOW_S, **more):
    return token.issue(KEY, issuer=THEM, audience=US, jti="j", now_s=until_s - token.LIFETIME_S, **more)


WHOLE = Beside(token=issued(until_s=NOW_S - verify.LEEWAY_S - MARGIN_S), body=BODY, answer=ANSWER)


def test_what_is_of_no_use_any_more_goes_with_the_record():
    found = kept(WHOLE)
    assert set(found) == {"body", "answer", "token"}
    assert jose.decode_segment(found["body"].encode()) == BODY


@pytest.mark.parametrize(
    ("name", "beside", "why"),
    [
        ("token", Beside(token=issued(), body=BODY, answer=ANSWER), "it could still be used; a bundle that is made"),
        (
            "token",
            Beside(token=issued(until_s=NOW_S - 9999, token="inner"), body=BODY, answer=ANSWER),
            "it carries another token",
        ),
        ("token", Beside(token="opaque", body=BODY, answer=ANSWER), "it cannot be told when it ends"),
        ("token", Beside(token=KEY.sign({"iss": THEM, "sub": THEM}, kid=f"{THEM}#k"), body=BODY), "it has no end"),
        ("body", Beside(token=WHOLE.token, body=b"sealed", sealed=True), "it holds a credential"),
        ("body", Beside(token=WHOLE.token, answer=ANSWER), "it was not kept, or was erased"),
        ("answer", Beside(token=WHOLE.token, body=BODY, answer=b"other"), "it was compressed on its way"),
    ],
)  # fmt: skip
def test_what_stays_is_named_with_its_reason(name, beside, why):
    found = kept(beside)
    assert name not in found
    assert found["withheld"][name].startswith(why)


def test_a_message_that_names_a_password_stays():
    body = b'{"callbackAddress":"https://user:word@host"}'
    found = kept(Beside(token=WHOLE.token, body=body, answer=ANSWER), sha256=digest(body))
    assert found["withheld"] == {"body": "it holds a credential"}


def test_a_record_without_a_message_has_nothing_beside_it():
    assert kept(Beside(), sha256=digest(b""), token_sha256="", reply=None) == {}


def test_a_token_inside_a_record_of_before_is_waited_for():
    with pytest.raises(errors.ConflictError, match="has its token inside, and it could still be used"):
        kept(Beside(), inside=issued(), token_sha256="", reply=None)
    later_s = NOW_S + verify.LEEWAY_S + MARGIN_S
    found = kept(Beside(), at_s=later_s, inside=issued(), token_sha256="", reply=None)
    assert found == {"withheld": {"body": "it was not kept, or was erased"}}
