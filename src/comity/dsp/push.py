"""The data address of a push: where, how and with which headers the consumer wants the bytes.

Dataspace Protocol 2025-1, "Transfer Process Protocol" (dataAddress of a request). It is written twice, by the
specification's names and by those that EDC's HTTP sink reads (`HttpData`: baseUrl, authKey, authCode), and read from
both. What a consumer may make us send is listed here; where we may connect to is the guard's to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from comity import errors
from comity.dsp import binding, transfer

Document = dict[str, Any]

HTTP_DATA = "HttpData"
ENDPOINT_TYPES = frozenset({HTTP_DATA, transfer.HTTP_ENDPOINT})
FOLDER = "https://w3id.org/comity/folder"
"""Property of an endpoint that takes whole packages: the manifest first, then each file below it by its path."""
METHODS = frozenset({"POST", "PUT"})
HEADERS = frozenset(
    {
        "authorization",
        "x-api-key",
        "api-key",
        "apikey",
        "x-auth-token",
        "x-access-token",
        "private-token",
        "ocp-apim-subscription-key",
        "x-functions-key",
        "x-ms-blob-type",
    }
)
"""What authKey and `header:` properties may name: credentials, and what an Azure blob asks for."""
UNSUPPORTED = ("secretName", "keyName", "queryParams", "proxyPath", "proxyBody", "proxyMethod")
PLACE = "$.dataAddress"
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(;[ A-Za-z0-9_.=\"-]{1,100})?"
)
_HEADER_VALUE = re.compile(r"[!-~]+(?: [!-~]+)*")  # a line end in it would begin another header
_MAX_VALUE = 8192


class Destination(Struct, frozen=True):
    """Where a push goes; `headers` go with each request, `media_type` replaces the content's own where it is set."""

    endpoint: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    media_type: str = ""
    folder: bool = False


def data_address(endpoint: str, properties: Mapping[str, str]) -> Document:
    """Return the data address that asks for a push to `endpoint`; `properties` have EDC's bare names or full IRIs."""
    named = {
        transfer.EDC + "baseUrl": endpoint,
        transfer.EDC + "endpoint": endpoint,
        **{name if ":" in name else transfer.EDC + name: value for name, value in properties.items()},
    }
    if properties.get("authKey", "").lower() == "authorization" and properties.get("authCode"):
        scheme, _, token = properties["authCode"].partition(" ")
        if scheme.lower() == "bearer":
            named |= {"authorization": token, "authType": "bearer"}
    return {
        "@type": "DataAddress",
        "endpointType": HTTP_DATA,
        "endpoint": endpoint,
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": name, "value": value} for name, value in named.items()
        ],
    }


def inbox_address(endpoint: str, token: str) -> Document:
    """Return the data address of our own inbox, which takes packages, for the holder of `token`."""
    return data_address(endpoint, {"authKey": "Authorization", "authCode": f"Bearer {token}", FOLDER: "true"})


def read(address: Document | None) -> Destination:
    """Read the data address of a request for a push.

    Raises:
        InvalidInputError: it is missing, of another kind, or asks for what a push does not do.
    """
    if address is None:
        raise errors.InvalidInputError("a push needs to know where the data is wanted", path=PLACE)
    kind = address.get("endpointType")
    if not isinstance(kind, str) or kind not in ENDPOINT_TYPES:
        raise errors.InvalidInputError(
            f"a push goes to an endpoint of the type {HTTP_DATA}", path=f"{PLACE}.endpointType"
        )
    named = transfer.endpoint_properties(address)
    for name in UNSUPPORTED:
        if named.get(name):
            raise _refused(f"{name} is not supported: what a push needs stands in its data address itself")
    if any(name.startswith("oauth2:") for name in named):
        raise _refused("oauth2 is not supported: give authKey and authCode")
    destination = Destination(
        endpoint=_endpoint(address, named),
        method=_method(named),
        headers=_headers(named),
        media_type=_media_type(named),
        folder=named.get(FOLDER, "").lower() == "true",
    )
    if destination.folder and "?" in destination.endpoint:
        raise _refused("an endpoint that takes packages has no query: paths are put behind it")
    return destination


def _refused(message: str) -> errors.InvalidInputError:
    return errors.InvalidInputError(message, path=f"{PLACE}.endpointProperties")


def _endpoint(address: Document, named: Mapping[str, str]) -> str:
    endpoint = named.get("baseUrl") or address.get("endpoint") or named.get("endpoint")
    if not isinstance(endpoint, str):
        raise errors.InvalidInputError("the data address names no endpoint", path=f"{PLACE}.endpoint")
    if named.get("path"):
        if "?" in endpoint:
            raise _refused("path cannot be added to an endpoint with a query")
        endpoint = f"{endpoint.rstrip('/')}/{named['path'].lstrip('/')}"
    binding.check_address(endpoint.partition("?")[0], path=f"{PLACE}.endpoint")
    return endpoint


def _method(named: Mapping[str, str]) -> str:
    method = named.get("method", "POST").upper()
    if method not in METHODS:
        raise _refused(f"the method must be POST or PUT, not {method[:20]!r}")
    return method


def _media_type(named: Mapping[str, str]) -> str:
    media_type = named.get("contentType", "")
    if media_type and not _MEDIA_TYPE.fullmatch(media_type):
        raise _refused(f"contentType {media_type[:100]!r} is not a media type")
    return media_type


def _headers(named: Mapping[str, str]) -> dict[str, str]:
    wanted = {
        name.removeprefix("header:"): value for name, value in named.items() if name.startswith("header:")
    }
    wanted = {name: value for name, value in wanted.items() if name.lower() != "content-type"}
    if named.get("authKey"):
        if not named.get("authCode"):
            raise _refused("authKey needs an authCode beside it")
        wanted[named["authKey"]] = named["authCode"]
    elif named.get("authorization"):
        bearer = named.get("authType", "bearer").lower() == "bearer" and " " not in named["authorization"]
        wanted["Authorization"] = ("Bearer " if bearer else "") + named["authorization"]
    for name, value in wanted.items():
        _check_header(name, value)
    return wanted


def _check_header(name: str, value: str) -> None:
    if name.lower() not in HEADERS:
        raise _refused(
            f"the header {name[:50]!r} is not sent for a partner; these are: {', '.join(sorted(HEADERS))}"
        )
    if len(value) > _MAX_VALUE or not _HEADER_VALUE.fullmatch(value):
        raise _refused(f"the value of the header {name} must be visible ASCII, as a header is")
