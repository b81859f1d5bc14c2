"""HTTP Message Signatures: RFC 9421's own example, what an independent implementation says, and each covered part."""

import base64
import re
import time
from hashlib import sha256
from types import SimpleNamespace

import http_message_signatures
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from multidict import CIMultiDict

from comity import errors
from comity.identity import http_signature as signatures
from comity.identity import jose
from comity.identity.http_signature import Fields

US = "did:web:us.example"
KEY = jose.SigningKey.generate(f"{US}#key-1")
KEYS = {KEY.kid: jose.public_key(KEY.public_jwk())}
NOW_S = 1_800_000_000
METHOD, URL, DIGEST = (
    "POST",
    "https://them.example/dsp/2025-1/negotiations/request",
    sha256(b"{}").hexdigest(),
)
REQUEST = (METHOD, URL, DIGEST)
REPLY = (201, sha256(b"[]").hexdigest(), *REQUEST)


def signed(covered=signatures.REQUEST, lines=None):
    return signatures.sign(KEY, KEY.kid, covered, lines or signatures.request_lines(*REQUEST), created=NOW_S)


def fields(**changes):
    made = signatures.fields(signed(), DIGEST)
    return Fields(**{
        "content_digest": made["Content-Digest"],
        "signature_input": made["Signature-Input"],
        "signature": made["Signature"],
        **changes,
    })  # fmt: skip


def check(found, lines, **changes):
    given = {"keys": KEYS, "now_s": NOW_S, **changes}
    signatures.check(signatures.read(found) if isinstance(found, Fields) else found, lines, **given)


def test_a_signature_that_is_read_again_holds():
    found = fields()
    assert signatures.read(found).created == NOW_S
    signatures.check_digest(found, DIGEST)
    check(found, signatures.request_lines(*REQUEST))


@pytest.mark.parametrize(
    "other",
    [("GET", URL, DIGEST), (METHOD, URL + "s", DIGEST), (METHOD, URL, "00" * 32)],
    ids=["method", "address", "content"],
)
def test_no_covered_part_of_a_request_can_be_another(other):
    with pytest.raises(errors.IdentityError, match="not one of"):
        check(fields(), signatures.request_lines(*other))


@pytest.mark.parametrize("at", range(5), ids=["status", "content", "method", "address", "content asked"])
@pytest.mark.parametrize("covered", [signatures.REPLY, signatures.REPLY_TO_UNSIGNED])
def test_no_covered_part_of_an_answer_can_be_another(at, covered):
    made = signed(covered, signatures.reply_lines(*REPLY, covered))
    check(made, signatures.reply_lines(*REPLY, covered))
    other = list(REPLY)
    other[at] = {0: 200, 1: "11" * 32, 2: "PUT", 3: "https://x", 4: "22" * 32}[at]
    if at == 4 and covered == signatures.REPLY_TO_UNSIGNED:
        check(made, signatures.reply_lines(*other, covered))
        return
    with pytest.raises(errors.IdentityError, match="not one of"):
        check(made, signatures.reply_lines(*other, covered))


def test_no_bit_of_a_signature_or_of_its_parameters_can_be_another():
    made, lines = signed(), signatures.request_lines(*REQUEST)
    for at in range(len(made.value) * 8):
        value = bytearray(made.value)
        value[at // 8] ^= 1 << at % 8
        text = base64.b64encode(value).decode()
        assert not signatures.holds(signatures.parse(made.parameters, text), lines, KEYS[KEY.kid])
    later = made.parameters.replace(f"created={NOW_S}", f"created={NOW_S + 1}")
    assert not signatures.holds(signatures.parse(later, made.text), lines, KEYS[KEY.kid])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keys": {}}, "may be used here"),
        ({"now_s": NOW_S - 91}, "check the clocks"),
        ({"now_s": NOW_S + 691}, "check the clocks"),
        ({"keys": {KEY.kid: jose.public_key(jose.SigningKey.generate("x").public_jwk())}}, "not one of"),
    ],
)
def test_a_signature_of_another_key_or_time_is_refused(changes, words):
    with pytest.raises(errors.IdentityError, match=words) as caught:
        check(fields(), signatures.request_lines(*REQUEST), **changes)
    assert caught.value.step == "message-signature"


def test_a_signature_of_another_participant_is_refused():
    signatures.check_signer(signed(), US)
    with pytest.raises(errors.IdentityError, match=r"no key of did:web:them\.example"):
        signatures.check_signer(signed(), "did:web:them.example")


GOOD = signed()
OTHERS = 'sig1=("@authority");created=1;keyid="k";tag="edc, \\"comity\\"", sig2=()'


@pytest.mark.parametrize(
    "found",
    [Fields(), Fields(signature_input=OTHERS, signature="sig1=:AA==:"), Fields(signature_input="((", signature="x")],
)  # fmt: skip
def test_signatures_of_others_are_passed_over(found):
    assert signatures.read(found) is None


def test_ours_is_found_among_those_of_others_whatever_its_label():
    found = Fields(
        signature_input=f"{OTHERS}, ours={GOOD.parameters} ,c=1",
        signature=f"sig1=:AA==: , ours=:{GOOD.text}:, c=:AA==:",
    )
    assert signatures.read(found) == GOOD


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signature_input": f"a={GOOD.parameters}, b={GOOD.parameters}"}, "not 2"),
        ({"signature_input": f"comity={GOOD.parameters}, comity={GOOD.parameters}"}, "each member once"),
        ({"signature_input": f"comity={GOOD.parameters};expires=1"}, "each once"),
        ({"signature_input": f'comity={GOOD.parameters};tag="comity"'}, "each once"),
        ({"signature_input": 'comity=("@method");tag="comity"'}, "each once"),
        ({"signature_input": GOOD.parameters.replace("created=1800000000", 'created="x"')}, "once"),
        ({"signature_input": "A" + GOOD.parameters}, "dictionary"),
        ({"signature": ""}, "64 bytes"),
        ({"signature": f"other=:{GOOD.text}:"}, "64 bytes"),
        ({"signature": f"comity={GOOD.text}"}, "64 bytes"),
        ({"signature": f"comity=:{GOOD.text[:-4]}:"}, "64 bytes"),
        ({"signature": f"comity=:{GOOD.text[:-3]}*==:"}, "64 bytes"),
        ({"signature": "x" * 9000}, "8192"),
    ],
)  # fmt: skip
def test_one_that_says_it_is_ours_and_is_not_well_written_is_refused(changes, words):
    with pytest.raises(errors.IdentityError, match=words):
        signatures.read(fields(**changes))


def test_a_field_that_is_made_to_take_long_takes_no_time():
    spaces = f'x=();tag="comity", y={" " * 8000}"'
    begun = time.thread_time()
    with pytest.raises(errors.IdentityError, match="dictionary"):
        signatures.read(fields(signature_input=spaces))
    assert time.thread_time() - begun < 0.1


@pytest.mark.parametrize("text", ["", "sha-256=:AA==:", f"sha-256=:{'A' * 43}=:", "md5=:x:"])
def test_a_digest_that_is_not_the_contents_is_refused(text):
    with pytest.raises(errors.IdentityError, match="Content-Digest"):
        signatures.check_digest(fields(content_digest=text), DIGEST)


@pytest.mark.parametrize(
    ("url", "covered"),
    [
        ("https://A.example:443/x?y=Z", "https://a.example/x?y=Z"),
        ("http://a.example:80/X", "http://a.example/X"),
        ("https://a.example:8443", "https://a.example:8443/"),
        ("HTTPS://a.example:80/", "https://a.example:80/"),
    ],
)
def test_both_sides_write_an_address_in_one_way(url, covered):
    assert signatures.target_uri(url) == covered


# --- others' word for it

RFC_KEY = jose.SigningKey.load_pem("test-key-ecc-p256", b"""-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFKbhfNZfpDsW43+0+JjUr9K+bTeuxopu653+hBaXGA7oAoGCCqGSM49
AwEHoUQDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM
4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END EC PRIVATE KEY-----
""")  # fmt: skip
RFC_BASE = b"""\
"@status": 200
"content-type": application/json
"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:
"content-length": 23
"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256\""""  # noqa: E501
RFC_SIGNATURE = "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="


def test_the_example_of_rfc_9421_b_2_4_holds():
    key = jose.public_key(RFC_KEY.public_jwk())
    assert key.holds(RFC_BASE, base64.b64decode(RFC_SIGNATURE))
    assert key.holds(RFC_BASE, RFC_KEY.signature(RFC_BASE))
    assert not key.holds(RFC_BASE + b" ", base64.b64decode(RFC_SIGNATURE))


class Resolver(http_message_signatures.HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id):
        assert key_id == KEY.kid
        return self.resolve_private_key(key_id).public_key()

    def resolve_private_key(self, key_id):
        return load_pem_private_key(KEY.dump_pem(), None)


ECDSA = http_message_signatures.algorithms.ECDSA_P256_SHA256
PARTS = ("@method", "@target-uri", "content-digest")


def a_request(**headers):
    return SimpleNamespace(method=METHOD, url=URL, body=b"{}", headers=CIMultiDict(headers))


def test_an_independent_implementation_verifies_ours():
    request = a_request(**signatures.fields(signed(), DIGEST))
    verifier = http_message_signatures.HTTPMessageVerifier(signature_algorithm=ECDSA, key_resolver=Resolver())
    verifier.validate_created_and_expires = lambda *_, **__: None  # its clock is today's
    (found,) = verifier.verify(request)
    assert tuple(name.strip('"') for name in found.covered_components)[:3] == PARTS
    assert found.parameters["tag"] == "comity"


def test_we_verify_what_an_independent_implementation_signs():
    request = a_request(**{"Content-Digest": signatures.content_digest(DIGEST)})
    signer = http_message_signatures.HTTPMessageSigner(signature_algorithm=ECDSA, key_resolver=Resolver())
    signer.sign(
        request,
        key_id=KEY.kid,
        label="pyhms",
        tag="comity",
        covered_component_ids=PARTS,
        use_existing_digest=True,
    )
    found = Fields(
        content_digest=request.headers["Content-Digest"],
        signature_input=request.headers["Signature-Input"],
        signature=request.headers["Signature"],
    )
    created = int(re.search(r"created=(\d+)", found.signature_input)[1])
    check(found, signatures.request_lines(*REQUEST), now_s=created)
