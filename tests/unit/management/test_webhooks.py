"""Webhooks and callbacks as they are written, and the signature of what they get."""

import base64
import hmac
from hashlib import sha256

import pytest

from comity import errors
from comity.management import webhooks

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
URL = "https://app.example/events"
EDC = "https://w3id.org/edc/v0.0.1/ns/"


def test_a_webhook_is_read_with_all_that_it_may_have():
    read = webhooks.decode(
        {
            "@type": "Webhook",
            "url": URL,
            "types": ["contract.negotiation", "transfer.process.started"],
            "secret": SECRET,
            "authKey": "X-Key",
            "authCodeId": "their-key",
            "after": 17,
        }
    )
    receiver = webhooks.Callback(
        url=URL,
        types=("contract.negotiation", "transfer.process.started"),
        auth_key="X-Key",
        auth_code_id="their-key",
    )
    assert read == webhooks.NewWebhook(receiver=receiver, secret=KEY, after=17)


def test_a_webhook_needs_nothing_but_its_address():
    assert webhooks.decode({"url": URL}) == webhooks.NewWebhook(receiver=webhooks.Callback(url=URL))


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"url": ""}, "$.url"),
        ({"url": 3}, "$.url"),
        ({"types": ["nonsense"]}, "$.types[0]"),
        ({"types": 3}, "$.types"),
        ({"secret": "plain"}, "$.secret"),
        ({"secret": "whsec_" + base64.b64encode(b"short").decode()}, "$.secret"),
        ({"secret": "whsec_" + base64.b64encode(bytes(65)).decode()}, "$.secret"),
        ({"secret": "whsec_!!!"}, "$.secret"),
        ({"authKey": "X-Key"}, "$.authCodeId"),
        ({"authCodeId": "x"}, "$.authKey"),
        ({"authKey": "X Key", "authCodeId": "x"}, "$.authKey"),
        ({"authKey": "Content-Length", "authCodeId": "x"}, "$.authKey"),
        ({"authKey": "webhook-signature", "authCodeId": "x"}, "$.authKey"),
        ({"authKey": "Host", "authCodeId": "x"}, "$.authKey"),
        ({"after": -1}, "$.after"),
        ({"after": "1"}, "$.after"),
        ({"after": True}, "$.after"),
        ({"uri": URL}, "$.uri"),
        ({"events": []}, "$.events"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_at_its_place(said, path):
    with pytest.raises(errors.InvalidInputError) as caught:
        webhooks.decode({"url": URL, **said})
    assert caught.value.path == path


CALLBACK = {
    "@type": "CallbackAddress",
    "uri": URL,
    "events": ["contract.negotiation", "transfer.process"],
    "transactional": False,
    "authKey": "X-Key",
    "authCodeId": "their-key",
}


@pytest.mark.parametrize("prefix", ["", "edc:", EDC])
@pytest.mark.parametrize("many", [True, False])
def test_a_callback_is_read_in_every_spelling_and_shown_as_edc_shows_it(prefix, many):
    written = {name if name[0] == "@" else prefix + name: value for name, value in CALLBACK.items()}
    read = webhooks.decode_callbacks({prefix + "callbackAddresses": [written] if many else written})
    assert webhooks.encode_callbacks(read) == [CALLBACK]


@pytest.mark.parametrize("nothing", [None, []])
def test_no_callbacks_are_none(nothing):
    assert webhooks.decode_callbacks({"callbackAddresses": nothing}) == ()


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"transactional": True}, ".transactional"),
        ({"transactional": "yes"}, ".transactional"),
        ({"uri": None}, ".uri"),
        ({"events": []}, ".events"),
        ({"events": None}, ".events"),
        ({"events": ["nonsense"]}, ".events[0]"),
        ({"authCodeId": None}, ".authCodeId"),
        ({"retries": 3}, ".retries"),
    ],
)
def test_a_callback_that_cannot_be_is_refused_at_its_place(said, path):
    with pytest.raises(errors.InvalidInputError) as caught:
        webhooks.decode_callbacks({"callbackAddresses": [CALLBACK, {**CALLBACK, **said}]})
    assert caught.value.path == "$.callbackAddresses[1]" + path


def test_what_is_no_callback_and_too_many_of_them_are_refused():
    with pytest.raises(errors.InvalidInputError, match="must be an object"):
        webhooks.decode_callbacks({"callbackAddresses": [URL]})
    with pytest.raises(errors.InvalidInputError, match="at most 10"):
        webhooks.decode_callbacks({"callbackAddresses": [CALLBACK] * 11})


def test_a_transactional_callback_is_refused_with_the_reason():
    with pytest.raises(errors.InvalidInputError, match="after the change is stored, and then at least once"):
        webhooks.decode_callbacks({"callbackAddresses": [{**CALLBACK, "transactional": True}]})


def test_the_signature_is_that_of_standard_webhooks():
    # the example of the specification: github.com/standard-webhooks, libraries' tests
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = webhooks.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_covers_id_time_and_body():
    def check(name, at_s, body):
        wanted = hmac.new(KEY, f"{name}.{at_s}.".encode() + body, sha256).digest()
        return webhooks.signature(KEY, name, at_s, body) == "v1," + base64.b64encode(wanted).decode()

    assert check("urn:uuid:1", 1_700_000_000, b"{}")
    made = {
        webhooks.signature(KEY, *each)
        for each in (("a", 1, b"x"), ("b", 1, b"x"), ("a", 2, b"x"), ("a", 1, b"y"))
    }
    assert len(made) == 4
