"""did:web names and DID documents (W3C did:web method, DID Core 1.0; identity.md 1.6 keeps the interop facts).

A name becomes the address of its document and back; a document becomes the keys that may sign requests, which are
those in `capabilityInvocation` (DCP 1.0, section 4.3.3). Fetching is `comity.net.did`; comparing with pinned keys
is the caller's part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from comity import errors

MAX_DID: Final = 1024
MAX_ENDPOINTS: Final = 20
_MAX_PORT: Final = 65535
_VERSION_PATH: Final = "/.well-known/dspace-version"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_METHOD_TYPES: Final = ("JsonWebKey2020", "JsonWebKey")
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid")
_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_HOST = re.compile(
    r"(?=.{1,253}(?:\Z))[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*"
)
_AUTHORITY = re.compile(r"([A-Za-z0-9._-]+)(?:%3[Aa]([0-9]{1,5}))?")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
_UNSAFE = re.compile(r"[\x00-\x20/\\?#@:%\x7f-\U0010ffff]")
_FRAGMENT = re.compile(r"[A-Za-z0-9._~:%-]{1,256}")


def format_did_web(address: str) -> str:
    """Return the DID of a public address: `https://h:8443/a` is `did:web:h%3A8443:a`.

    Raises:
        IdentityError: the address is not http(s)://host[:port][/path] or has a part that a DID cannot say.
    """
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise _malformed("the address", address, "its host or port cannot be read") from None
    if url.scheme not in _DEFAULT_PORTS or "@" in url.netloc or url.query or url.fragment or port == 0:
        raise _malformed("the address", address, "it must be http(s)://host[:port][/path]")
    if not _HOST.fullmatch(host):
        raise _malformed("the address", address, "its host must be a DNS name or an IPv4 address")
    shown = "" if port is None or port == _DEFAULT_PORTS[url.scheme] else f"%3A{port}"
    segments = url.path.rstrip("/").split("/")[1:]
    return ":".join(
        ["did:web", host + shown, *(_check_segment(one, "the address", address) for one in segments)]
    )


def document_url(did: str, *, insecure: bool = False) -> str:
    """Return where the DID's document is: https, or http when `insecure` (development) is set.

    Raises:
        IdentityError: it is not a did:web name (step `did`).
    """
    if not did.startswith("did:web:") or len(did) > MAX_DID:
        raise _malformed("the DID", did, "it must begin with did:web: and have at most 1024 characters")
    authority, *segments = did.removeprefix("did:web:").split(":")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or not _HOST.fullmatch(parts[1]):
        raise _malformed("the DID", did, "after did:web: comes a host, with its port as %3A<port>")
    if parts[2] and not 0 < int(parts[2]) <= _MAX_PORT:
        raise _malformed("the DID", did, "its port is not between 1 and 65535")
    path = "/".join(_check_segment(one, "the DID", did) for one in segments) or ".well-known"
    port = f":{parts[2]}" if parts[2] else ""
    return f"{'http' if insecure else 'https'}://{parts[1]}{port}/{path}/did.json"


def _check_segment(segment: str, what: str, whole: str) -> str:
    plain = unquote(segment, errors="replace")
    if not _SEGMENT.fullmatch(segment) or plain in {".", ".."} or _UNSAFE.search(plain):
        raise _malformed(
            what, whole, f"the part {segment[:50]!r} of its path is empty or has unsafe characters"
        )
    return segment


def document(did: str, keys: Sequence[Mapping[str, Any]], *, address: str) -> dict[str, Any]:
    """Return our DID document with the public JWKs `keys` (each with a `kid`) and the place of the version endpoint.

    Raises:
        IdentityError: a key has private members, no `kid`, or the `kid` of another DID.
    """
    methods = [_method(did, key) for key in keys]
    ids = [method["id"] for method in methods]
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"],
        "id": did,
        "verificationMethod": methods,
        "authentication": ids,
        "assertionMethod": ids,
        "capabilityInvocation": ids,
        "service": [
            {
                "id": f"{did}#dsp",
                "type": "DataService",
                "serviceEndpoint": address.rstrip("/") + _VERSION_PATH,
            }
        ],
    }


def _method(did: str, key: Mapping[str, Any]) -> dict[str, Any]:
    if any(member in key for member in _PRIVATE_MEMBERS):
        raise errors.IdentityError("a private key must not stand in a DID document", step="key")
    owner, _, fragment = str(key.get("kid", "")).rpartition("#")
    if owner not in {"", did} or not _FRAGMENT.fullmatch(fragment):
        raise errors.IdentityError(
            f"the kid {str(key.get('kid'))[:100]!r} does not name a key of {did}", step="kid"
        )
    public = {name: key[name] for name in _PUBLIC_MEMBERS if name in key} | {"kid": fragment}
    return {"id": f"{did}#{fragment}", "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": public}


def keys_for_invocation(document: Mapping[str, Any], did: str) -> dict[str, dict[str, Any]]:
    """Return the public JWKs that may sign requests for `did`, by absolute id; what cannot be used is left out.

    Left out are methods of other types, of another controller, with another DID's id, and published private keys.

    Raises:
        IdentityError: the document is another's, or is not a DID document (step `did-document`).
    """
    if document.get("id") != did:
        raise _bad_document(did, f"its id is {str(document.get('id'))[:200]!r}")
    methods: dict[str, Mapping[str, Any]] = {}
    for method in _objects(document, "verificationMethod", did):
        _add(methods, method, did)
    found: dict[str, dict[str, Any]] = {}
    for entry in _members(document, "capabilityInvocation", did):
        if isinstance(entry, dict):
            _add(methods, entry, did)
        name = _absolute(entry.get("id") if isinstance(entry, dict) else entry, did)
        jwk = _jwk(methods.get(name), did)
        if jwk is not None:
            found[name] = jwk
    return found


def _add(methods: dict[str, Mapping[str, Any]], method: Mapping[str, Any], did: str) -> None:
    name = _absolute(method.get("id"), did)
    if name in methods:
        raise _bad_document(did, f"{name[:200]} stands in it twice")
    if name:
        methods[name] = method


def _absolute(name: Any, did: str) -> str:
    """Return the whole id of a key of `did`, or "" for anything else."""
    if not isinstance(name, str):
        return ""
    whole = did + name if name.startswith("#") else name
    return whole if whole.startswith(f"{did}#") and len(whole) > len(did) + 1 else ""


def _jwk(method: Mapping[str, Any] | None, did: str) -> dict[str, Any] | None:
    if method is None or method.get("type") not in _METHOD_TYPES or method.get("controller", did) != did:
        return None
    jwk = method.get("publicKeyJwk")
    if not isinstance(jwk, dict) or any(member in jwk for member in _PRIVATE_MEMBERS):
        return None
    return {name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}


def version_endpoint(document: Mapping[str, Any]) -> str | None:
    """Return the serviceEndpoint of the first DataService, None if the document names none as a text."""
    return next(iter(version_endpoints(document)), None)


def version_endpoints(document: Mapping[str, Any]) -> list[str]:
    """Return the serviceEndpoint of each DataService that names one as a text, in their order; of the first 20."""
    found: list[str] = []
    services = document.get("service")
    for service in services if isinstance(services, list) else []:
        kinds = service.get("type") if isinstance(service, dict) else None
        if kinds == "DataService" or (isinstance(kinds, list) and "DataService" in kinds):
            endpoint = service.get("serviceEndpoint")
            if isinstance(endpoint, str):
                found.append(endpoint)
    return found[:MAX_ENDPOINTS]  # whoever wrote the document chooses whom we ask


def _members(document: Mapping[str, Any], name: str, did: str) -> list[Any]:
    value = document.get(name, [])
    if not isinstance(value, list):
        raise _bad_document(did, f"{name} is not an array")
    return value


def _objects(document: Mapping[str, Any], name: str, did: str) -> Iterable[Mapping[str, Any]]:
    return (one for one in _members(document, name, did) if isinstance(one, dict))


def _malformed(what: str, text: str, why: str) -> errors.IdentityError:
    return errors.IdentityError(f"{what} {text[:200]!r} cannot be used: {why}", step="did")


def _bad_document(did: str, why: str) -> errors.IdentityError:
    return errors.IdentityError(f"the DID document of {did[:200]} cannot be used: {why}", step="did-document")
