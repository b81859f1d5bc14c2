"""The OpenAPI document and the page: valid, complete, and true of what the endpoints really answer."""

import json
import re
import shlex
from html import unescape
from html.parser import HTMLParser

import jsonschema
import openapi_spec_validator
import pytest

from comity.api.management import endpoints, openapi, summaries, unversioned
from comity.management import versions
from support.dealing import agree, reaches, transfer

WHOLE = openapi.document(endpoints.ENDPOINTS, unversioned.OPEN_FORMS, versions.VERSIONS)


def operations(document):
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_what_openapi_3_1_asks_for():
    assert WHOLE["openapi"].startswith("3.1")
    openapi_spec_validator.validate(WHOLE)
    for version in versions.VERSIONS:
        openapi_spec_validator.validate(
            openapi.document(endpoints.ENDPOINTS, unversioned.OPEN_FORMS, [version])
        )


def test_it_has_every_endpoint_of_every_version_and_no_other():
    expected = {
        (method, f"/management/{version.name}/{noun}/{rest}".rstrip("/"))
        for (method, noun, rest), row in endpoints.ENDPOINTS.items()
        for version in versions.VERSIONS
        if row.is_in(version)
    } | {("GET", f"/management/{path}") for path in unversioned.OPEN}
    assert set(operations(WHOLE)) == expected


def test_every_operation_has_a_name_of_its_own_its_role_and_its_errors():
    names = [each["operationId"] for each in operations(WHOLE).values()]
    assert len(names) == len(set(names))
    for (method, noun, rest), row in endpoints.ENDPOINTS.items():
        operation = operations(WHOLE)[method, f"/management/v3/{noun}/{rest}".rstrip("/")]
        assert operation["x-comity-role"] == row.role
        assert set(row.errors.split()) | {"401", "403"} <= set(operation["responses"])
        headers = [each["name"] for each in operation["parameters"] if each["in"] == "header"]
        assert headers == (["Idempotency-Key"] if row.creates else [])


def test_every_component_is_used():
    text = repr(WHOLE)
    for kind in ("schemas", "responses"):
        for name in WHOLE["components"][kind]:
            assert f"#/components/{kind}/{name}" in text or name == "405", name


def validator(schema):
    """A validator of a schema of the document, beside the others that it refers to."""
    return jsonschema.Draft202012Validator({**schema, "components": WHOLE["components"]})


@pytest.mark.parametrize("name", sorted(WHOLE["components"]["schemas"]))
def test_every_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(WHOLE["components"]["schemas"][name])


def test_every_example_is_what_its_schema_says():
    seen = 0
    for operation in operations(WHOLE).values():
        for part in (operation.get("requestBody"), operation["responses"].get("200")):
            for content in (part or {}).get("content", {}).values():
                if "example" in content:
                    validator(content["schema"]).validate(content["example"])
                    seen += 1
    assert seen > 2 * len([row for row in endpoints.ENDPOINTS.values() if row.gives == "IdResponse"])


@pytest.mark.parametrize("version", ["v3", "v4"])
async def test_answers_are_what_the_document_says(pair, provider, consumer, offered, version):
    """Every endpoint that reads, after a whole exchange, on both sides."""
    agreement = await agree(consumer, offered)
    handed = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{handed}", "STARTED")
    await provider.created("secrets", {"@id": "s", "value": "v"})
    await provider.post("apikeys", {"name": "k", "role": "viewer"})
    (negotiation,) = await consumer.found("contractnegotiations/request")
    ids = {
        "assets": "part", "policydefinitions": "part-p", "contractdefinitions": "part-c", "secrets": "s",
        "contractnegotiations": negotiation["@id"], "contractagreements": agreement,
        "transferprocesses": handed, "edrs": handed,
    }  # fmt: skip
    checked = set()
    for (method, path), operation in operations(WHOLE).items():
        noun = operation["tags"][0]
        reads = method == "GET" or (path.endswith("/request") and "{id}" not in path)
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json")
        if not path.startswith(f"/management/{version}/") or not reads or content is None:
            continue
        for client in (provider, consumer):
            body = None
            if noun == "catalog":
                head = {"@context": [versions.CONTEXT_V4]}
                kind = "DatasetRequest" if "dataset" in path else "CatalogRequest"
                body = {**head, "@type": kind, "@id": "part", **offered}
            answer = await client.request(method, path.replace("{id}", ids.get(noun, "x")), body)
            if answer.status == 200:
                validator(content["schema"]).validate(answer.json)
                checked.add(noun)
    assert checked >= set(ids) | {"partners", "apikeys", "evidence", "catalog"}


async def test_it_is_given_to_everybody_whole_and_by_version(api):
    whole = (await api.get("/management/openapi.json", headers={})).json
    assert set(operations(whole)) == set(operations(WHOLE))
    for version in versions.VERSIONS:
        one = (await api.get(f"/management/{version.name}/openapi.json", headers={})).json
        others = [each.name for each in versions.VERSIONS if each is not version]
        assert not [
            path
            for path in one["paths"]
            for other in others
            if f"/{other}/" in path and "openapi" not in path
        ]


class Reader(HTMLParser):
    """What a page loads, and whether its elements are closed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links, self.anchors = [], set(), [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href"}:
                self.links.append(value)
            if name == "id":
                self.anchors.add(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


async def test_the_page_is_whole_and_needs_nothing_else(api):
    answer = await api.get("/management/docs", headers={})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    text = answer.body.decode()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "details"}
    assert {link for link in reader.links if not link.startswith("#")} == {"openapi.json"}
    assert {link.removeprefix("#") for link in reader.links if link.startswith("#")} <= reader.anchors
    assert not re.search(r"@import|url\(", text)


def commands(page):
    """The commands of the page, as a shell reads them, with their bodies: (method, path) -> body, None for none."""
    found = {}
    for text in re.findall("<pre>(curl.*?)</pre>", page, re.DOTALL):
        words = shlex.split(unescape(text))
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        (url,) = [each for each in words if each.startswith("$URL/")]
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        found[method, url.removeprefix("$URL").replace("$ID", "{id}")] = body
        assert ("X-Api-Key: $KEY" in words) == bool(re.match(r"/management/v[34]/(?!openapi)", url[4:]))
    return found


async def test_the_page_has_a_command_to_paste_for_every_endpoint(api):
    found = commands((await api.get("/management/docs", headers={})).body.decode())
    for (method, path), operation in operations(WHOLE).items():
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            assert found[method, path] == content["example"]
        else:
            assert (method, path) in found or (method, path.replace("/v3/", "/v4/")) in found


async def test_what_the_page_has_to_paste_does_what_it_says(api):
    found = commands((await api.get("/management/docs", headers={})).body.decode())
    for version, noun in (("v3", "policydefinitions"), ("v4", "secrets"), ("v4", "apikeys")):
        path = f"/management/{version}/{noun}"
        assert (await api.request("POST", path, found["POST", path])).status == 200


def test_words_for_an_endpoint_belong_to_one_that_there_is():
    assert summaries.WORDS.keys() <= endpoints.ENDPOINTS.keys()
    assert summaries.summary(("POST", "assets", "")) == "assets: create"
    assert summaries.summary(("POST", "transferprocesses", "{id}/suspend")) == "transferprocesses: suspend"
    assert summaries.summary(("POST", "edrs", "")).startswith("edrs: negotiate")


async def test_the_page_says_all_that_the_document_says(api):
    text = (await api.get("/management/docs", headers={})).body.decode()
    for (method, path), operation in operations(WHOLE).items():
        assert f'<b class="m">{method}</b> <code>{path}</code>' in text, operation["operationId"]
    for schema in WHOLE["components"]["schemas"].values():
        for name in schema.get("properties", {}):
            assert f"<code>{name}</code>" in text
