from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity import errors
from comity.identity import did, jose

US = "did:web:us.example"
JWK = jose.SigningKey.generate("key-1").public_jwk()

ADDRESSES = [
    ("https://h.example", "did:web:h.example", "https://h.example/.well-known/did.json"),
    ("https://h.example/", "did:web:h.example", "https://h.example/.well-known/did.json"),
    ("https://H.Example", "did:web:h.example", "https://h.example/.well-known/did.json"),
    ("https://h:8443/a", "did:web:h%3A8443:a", "https://h:8443/a/did.json"),
    ("https://h:443/a/b/", "did:web:h:a:b", "https://h/a/b/did.json"),
    ("https://h/a%20b".replace("%20", "_"), "did:web:h:a_b", "https://h/a_b/did.json"),
    ("https://127.0.0.1:19194", "did:web:127.0.0.1%3A19194", "https://127.0.0.1:19194/.well-known/did.json"),
]


@pytest.mark.parametrize(("address", "name", "url"), ADDRESSES)
def test_address_did_and_document_url_belong_together(address, name, url):
    assert did.format_did_web(address) == name
    assert did.document_url(name) == url


def test_http_address_has_an_http_document_only_when_insecure():
    name = did.format_did_web("http://localhost:8080/a")
    assert name == "did:web:localhost%3A8080:a"
    assert did.document_url(name, insecure=True) == "http://localhost:8080/a/did.json"
    assert did.document_url(name).startswith("https://")
    assert did.format_did_web("http://h:80") == "did:web:h"


@pytest.mark.parametrize(
    "address",
    [
        "", "h.example", "ftp://h", "https://", "https://u@h", "https://u:p@h", "https://h?a", "https://h#a",
        "https://h:0", "https://h:99999", "https://h:x", "https://[::1]/", "https://h/a//b", "https://h/../a",
        "https://h/.", "https://h/a b", "https://h/a:b", "https://h/%2e%2e", "https://h/a%2fb", "https://h_$/",
        "https://hé/", "https://h/é", "https://[", "//h/a", "https://-h", "https://h..x",
    ],
)  # fmt: skip
def test_address_that_no_did_can_say_is_refused(address):
    with pytest.raises(errors.IdentityError) as caught:
        did.format_did_web(address)
    assert caught.value.step == "did"


@pytest.mark.parametrize(
    "name",
    [
        "", "did", "did:web", "did:web:", "did:key:z6Mk", "DID:WEB:h", "did:web:h:", "did:web::a", "did:web:h::a",
        "did:web:h#key-1", "did:web:h?a=b", "did:web:h/a", "did:web:h/../x", "did:web:h:..", "did:web:h:.:a",
        "did:web:h:%2e%2e", "did:web:h:%2E%2E:a", "did:web:h:a%2fb", "did:web:h:a%5Cb", "did:web:h:%00",
        "did:web:h:%0d%0a", "did:web:h:a%40b", "did:web:h:%", "did:web:h:%2", "did:web:h:%zz", "did:web:h:%252e",
        "did:web:u@h", "did:web:u%40h", "did:web:u%3Ap%40h", "did:web:h%3A", "did:web:h%3A0", "did:web:h%3A65536",
        "did:web:h%3A8443%3A1", "did:web:h%3Ax", "did:web:[::1]", "did:web:%5B::1%5D", "did:web:h%2Fa", "did:web:hé",
        "did:web:h a", "did:web:h\n", "did:web:h\x00", "did:web:-h", "did:web:h.", "did:web:.h", "did:web:h..x",
        "did:web:h;a", "did:web:" + "a" * 64, "did:web:" + "a." * 600 + "a", "did:web:h:" + "a" * 1100,
        " did:web:h", "did:web:h:a ", "did:web:h\\a", "did:web:h:é", "did:web:h:%C3%A9",
    ],
)  # fmt: skip
@pytest.mark.parametrize("insecure", [False, True])
def test_malformed_did_is_refused(name, insecure):
    with pytest.raises(errors.IdentityError) as caught:
        did.document_url(name, insecure=insecure)
    assert caught.value.step == "did"


def test_our_document_lists_its_keys_under_absolute_ids_in_all_relations():
    made = did.document(US, [JWK, {**JWK, "kid": f"{US}#key-2"}], address="https://us.example/")
    ids = [f"{US}#key-1", f"{US}#key-2"]
    assert [method["id"] for method in made["verificationMethod"]] == ids
    assert {method["type"] for method in made["verificationMethod"]} == {"JsonWebKey2020"}
    assert made["authentication"] == made["assertionMethod"] == made["capabilityInvocation"] == ids
    assert did.version_endpoint(made) == "https://us.example/.well-known/dspace-version"
    assert set(did.keys_for_invocation(made, US)) == set(ids)


@pytest.mark.parametrize(
    "change", [{"d": "secret"}, {"k": "secret"}, {"kid": ""}, {"kid": "did:web:other#k"}, {"kid": "a b"}]
)
def test_key_that_must_not_be_published_is_refused(change):
    with pytest.raises(errors.IdentityError) as caught:
        did.document(US, [{**JWK, **change}], address="https://us.example")
    assert "secret" not in caught.value.message


def doc(**changes) -> dict:
    method = {"id": f"{US}#key-1", "type": "JsonWebKey2020", "controller": US, "publicKeyJwk": JWK}
    return {"id": US, "verificationMethod": [method], "capabilityInvocation": [f"{US}#key-1"], **changes}


def method(**changes) -> list[dict]:
    return [{**doc()["verificationMethod"][0], **changes}]


def test_relative_ids_and_embedded_methods_are_read():
    assert set(
        did.keys_for_invocation(
            doc(verificationMethod=method(id="#key-1"), capabilityInvocation=["#key-1"]), US
        )
    ) == {f"{US}#key-1"}
    embedded = doc(verificationMethod=[], capabilityInvocation=method(id="#key-2"))
    assert set(did.keys_for_invocation(embedded, US)) == {f"{US}#key-2"}


@pytest.mark.parametrize(
    "changes",
    [
        {"capabilityInvocation": []},
        {"capabilityInvocation": [f"{US}#key-2"]},
        {"capabilityInvocation": ["did:web:other#key-1", 1, None, [], "", "#", US]},
        {"verificationMethod": []},
        {"verificationMethod": ["text", 1, None]},
        {"verificationMethod": method(id="did:web:other#key-1")},
        {"verificationMethod": method(id=f"{US}.evil#key-1")},
        {"verificationMethod": method(id=1)},
        {"verificationMethod": method(controller="did:web:other")},
        {"verificationMethod": method(controller=[US])},
        {"verificationMethod": method(type="Multikey")},
        {"verificationMethod": method(type=["JsonWebKey2020"])},
        {"verificationMethod": method(publicKeyJwk=None)},
        {"verificationMethod": method(publicKeyJwk="key")},
        {"verificationMethod": method(publicKeyJwk={**JWK, "d": "AAAA"})},
    ],
)
def test_method_that_may_not_sign_requests_is_left_out(changes):
    assert did.keys_for_invocation(doc(**changes), US) == {}


def test_key_only_for_authentication_is_left_out():
    only = doc(capabilityInvocation=[], authentication=[f"{US}#key-1"], assertionMethod=[f"{US}#key-1"])
    assert did.keys_for_invocation(only, US) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "did:web:other"}, {"id": None}, {"id": [US]}, {"id": US + "/"}, {"verificationMethod": {}},
        {"verificationMethod": "x"}, {"capabilityInvocation": f"{US}#key-1"}, {"verificationMethod": method() * 2},
        {"capabilityInvocation": method()},
    ],
)  # fmt: skip
def test_document_that_is_not_the_did_s_is_refused(changes):
    with pytest.raises(errors.IdentityError) as caught:
        did.keys_for_invocation(doc(**changes), US)
    assert caught.value.step == "did-document"


@pytest.mark.parametrize(
    ("service", "found"),
    [
        (None, None),
        ("x", None),
        ([], None),
        ([1, "x", {"type": "CatalogService", "serviceEndpoint": "a"}], None),
        ([{"type": "DataService", "serviceEndpoint": {"uri": "a"}}], None),
        ([{"type": "DataService", "serviceEndpoint": "a"}], "a"),
        ([{"type": ["X", "DataService"], "serviceEndpoint": "b"}], "b"),
    ],
)
def test_version_endpoint_is_the_data_service_s(service, found):
    assert did.version_endpoint({"service": service}) == found


@given(st.text(":%/.?#@a-b3AEF").map(lambda text: "did:web:" + text) | st.text())
def test_any_text_is_a_document_url_at_its_own_host_or_a_refusal(text):
    try:
        url = did.document_url(text)
    except errors.IdentityError:
        return
    assert url.startswith("https://")
    address = url.removesuffix("/did.json").removesuffix("/.well-known")
    host = address.removeprefix("https://").partition("/")[0]
    assert did.document_url(did.format_did_web(address)) == url.replace(
        host, host.lower().removesuffix(":443"), 1
    )


@given(
    JSON := st.recursive(
        st.none()
        | st.integers()
        | st.text(max_size=5)
        | st.sampled_from([US, f"{US}#key-1", "JsonWebKey2020"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "type", "controller", "publicKeyJwk", "d", "x", "serviceEndpoint"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ),
    JSON,
    JSON,
)
def test_document_of_any_kind_gives_keys_or_our_error(methods, invocation, service):
    made = {"id": US, "verificationMethod": methods, "capabilityInvocation": invocation, "service": service}
    did.version_endpoint(made)
    try:
        found = did.keys_for_invocation(made, US)
    except errors.IdentityError:
        return
    assert all(kid.startswith(f"{US}#") for kid in found)


def test_only_so_many_connectors_of_a_document_are_asked():
    services = [{"type": "DataService", "serviceEndpoint": f"https://{n}.example"} for n in range(1000)]
    assert len(did.version_endpoints({"service": services})) == did.MAX_ENDPOINTS
