"""Assets, policy and contract definitions: created, read, changed, queried and deleted as EDC's clients do."""

import pytest

from support import edc, stores
from support.edc import EDC, SPELLINGS, USE, criterion, query

ADDRESS = {
    "@type": "DataAddress",
    "type": "HttpData",
    "baseUrl": "http://127.0.0.1:1/data",
    "proxyPath": "true",
}
ASSET = {
    "@id": "asset-1",
    "@type": "Asset",
    "properties": {
        "name": "a drawing",
        "http://purl.org/dc/terms/type": {"@id": "urn:type:drawing"},
        "size": 7,
    },
    "privateProperties": {"room": "12"},
    "dataAddress": ADDRESS,
}
POLICY = {"@id": "policy-1", "@type": "PolicyDefinition", "policy": USE}
CONTRACT = {
    "@id": "contract-1",
    "@type": "ContractDefinition",
    "accessPolicyId": "policy-1",
    "contractPolicyId": "policy-1",
    "assetsSelector": [{"@type": "Criterion", **criterion(EDC + "id", "=", "asset-1")}],
}
spelled = pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
FOLDER = "http://127.0.0.1:1/"


def check_item(document, kind):
    """What clients count on: each item with its own context, compact names, and an id."""
    assert document["@type"] == kind
    assert document["@context"]["@vocab"] == EDC
    assert not [name for name in document if name.startswith((EDC, "edc:"))]
    assert document["createdAt"] > 0
    return document["@id"]


@spelled
async def test_an_asset_is_created_read_changed_found_and_deleted(api, spell):
    assert await api.created("assets", spell(ASSET)) == "asset-1"
    shown = (await api.get("assets/asset-1")).json
    assert check_item(shown, "Asset") == "asset-1"
    assert shown["properties"] == {**ASSET["properties"], "id": "asset-1"}
    assert shown["privateProperties"] == {"room": "12"}
    assert shown["dataAddress"] == ADDRESS
    changed = await api.put("assets", spell({**ASSET, "properties": {"name": "another"}}))
    assert (changed.status, changed.body) == (204, b"")
    (found,) = await api.found("assets/request", spell(query(criterion("name", "=", "another"))))
    assert found == (await api.get("assets/asset-1")).json
    assert found["properties"] == {"name": "another", "id": "asset-1"}
    assert found["createdAt"] == shown["createdAt"]
    deleted = await api.delete("assets/asset-1")
    assert (deleted.status, deleted.body) == (204, b"")
    assert (await api.get("assets/asset-1")).problem["type"] == "not-found"
    assert (await api.delete("assets/asset-1")).status == 404
    assert (await api.put("assets", spell(ASSET))).status == 404


@spelled
async def test_a_policy_definition_is_created_read_changed_found_and_deleted(api, spell):
    assert await api.created("policydefinitions", spell(POLICY)) == "policy-1"
    shown = (await api.get("policydefinitions/policy-1")).json
    assert check_item(shown, "PolicyDefinition") == "policy-1"
    assert shown["policy"]["permission"] == USE["permission"]
    until = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2030-01-01"}
    other = {"@type": "Set", "permission": [{"action": "use", "constraint": [until]}]}
    assert (await api.put("policydefinitions/policy-1", spell({**POLICY, "policy": other}))).status == 204
    (found,) = await api.found("policydefinitions/request", spell(query(criterion("id", "=", "policy-1"))))
    assert found["policy"]["permission"] == other["permission"]
    without_id = {name: value for name, value in POLICY.items() if name != "@id"}
    assert (await api.put("policydefinitions/policy-1", spell(without_id))).status == 204
    assert (await api.put("policydefinitions", spell(POLICY))).status == 204
    assert (await api.put("policydefinitions", spell(without_id))).problem["path"] == "$.@id"
    assert (await api.put("policydefinitions/other", spell(POLICY))).problem["path"] == "$.@id"
    assert (await api.delete("policydefinitions/policy-1")).status == 204
    assert await api.found("policydefinitions/request", None) == []


@spelled
async def test_a_contract_definition_is_created_read_changed_found_and_deleted(api, spell):
    await api.created("policydefinitions", POLICY)
    await api.created("policydefinitions", {**POLICY, "@id": "policy-2"})
    assert await api.created("contractdefinitions", spell(CONTRACT)) == "contract-1"
    shown = (await api.get("contractdefinitions/contract-1")).json
    assert check_item(shown, "ContractDefinition") == "contract-1"
    assert shown["assetsSelector"] == CONTRACT["assetsSelector"]
    changed = {**CONTRACT, "contractPolicyId": "policy-2"}
    assert (await api.put("contractdefinitions", spell(changed))).status == 204
    wanted = spell(query(criterion("contractPolicyId", "=", "policy-2")))
    (found,) = await api.found("contractdefinitions/request", wanted)
    assert (found["accessPolicyId"], found["contractPolicyId"]) == ("policy-1", "policy-2")
    assert (await api.delete("contractdefinitions/contract-1")).status == 204
    assert await api.found("contractdefinitions/request") == []


@pytest.mark.parametrize(
    "reference", [{"@id": "policy-1"}, [{"@id": "policy-1"}], ["policy-1"], {"@value": "policy-1"}]
)
async def test_an_id_may_be_written_as_a_reference(api, reference):
    await api.created("policydefinitions", POLICY)
    await api.created("contractdefinitions", {**CONTRACT, "accessPolicyId": reference})
    assert (await api.get("contractdefinitions/contract-1")).json["accessPolicyId"] == "policy-1"


@pytest.mark.parametrize("selector", [[], {}, None])
async def test_a_definition_without_criteria_is_about_every_asset(api, selector):
    await api.created("policydefinitions", POLICY)
    await api.created("contractdefinitions", {**CONTRACT, "assetsSelector": selector})
    assert (await api.get("contractdefinitions/contract-1")).json["assetsSelector"] == []


async def test_one_criterion_may_stand_without_a_list(api):
    await api.created("policydefinitions", POLICY)
    await api.created("contractdefinitions", {**CONTRACT, "assetsSelector": CONTRACT["assetsSelector"][0]})
    assert (await api.get("contractdefinitions/contract-1")).json["assetsSelector"] == CONTRACT[
        "assetsSelector"
    ]


async def test_ids_are_given_where_none_is_wished(api):
    name = await api.created("assets", {"dataAddress": ADDRESS, "@id": None})
    assert name.startswith("urn:uuid:")
    assert await api.created("assets", {"properties": {"id": "own"}, "dataAddress": ADDRESS}) == "own"
    assert await api.created("assets", {"properties": {EDC + "id": "own2"}, "dataAddress": ADDRESS}) == "own2"
    assert await api.created("assets", {EDC + "id": "own3", "dataAddress": ADDRESS}) == "own3"


@pytest.mark.parametrize(
    ("path", "body"), [("assets", ASSET), ("policydefinitions", POLICY), ("contractdefinitions", CONTRACT)]
)
async def test_an_id_that_is_taken_is_a_conflict_and_changes_nothing(api, path, body):
    await api.created("policydefinitions", {**POLICY, "@id": "policy-0"})
    body = {**body, "accessPolicyId": "policy-0", "contractPolicyId": "policy-0"}
    await api.created(path, body)
    before = (await api.get(f"{path}/{body['@id']}")).json
    answer = await api.post(path, {**body, "privateProperties": {"x": 1}})
    assert (answer.status, answer.problem["type"]) == (409, "conflict")
    assert (await api.get(f"{path}/{body['@id']}")).json == before


async def test_a_policy_that_a_definition_needs_is_not_deleted(api):
    await api.created("policydefinitions", POLICY)
    await api.created("contractdefinitions", CONTRACT)
    answer = await api.delete("policydefinitions/policy-1")
    assert (answer.status, answer.problem["type"]) == (409, "conflict")
    assert "contract-1" in answer.problem["message"]
    assert (await api.get("policydefinitions/policy-1")).status == 200


@pytest.mark.parametrize("field", ["accessPolicyId", "contractPolicyId"])
async def test_a_definition_needs_policies_that_exist(api, field):
    await api.created("policydefinitions", POLICY)
    for value, path in (
        ("nothing", f"$.{field}"),
        (None, f"$.{field}"),
        ("", f"$.{field}"),
        (7, f"$.{field}"),
    ):
        answer = await api.post("contractdefinitions", {**CONTRACT, field: value})
        assert (answer.status, answer.problem["path"]) == (400, path)


@pytest.mark.parametrize(
    ("policy", "path", "word"),
    [
        ({}, "$.policy.permission", "permitted"),
        ({"permission": []}, "$.policy.permission", "permitted"),
        ({"prohibition": [{"action": "use"}]}, "$.policy.permission", "permitted"),
        ({"permission": [{"action": "fly"}]}, "$.policy.permission[0].action", "fly"),
        ({"permission": [{}]}, "$.policy.permission[0].action", "action"),
        ({"permission": "use"}, "$.policy.permission[0]", "object"),
        ({**USE, "obligation": [{"action": "use"}]}, "$.policy.obligation[0]", "obligation"),
        ({**USE, "permision": []}, "$.policy.permision", "permision"),
        (
            {"permission": [{"action": "use", "constraint": [criterion("a", "eq", "b")]}]},
            "$.policy.permission[0].constraint[0].leftOperand",
            "leftOperand",
        ),
        (
            {
                "permission": [
                    {
                        "action": "use",
                        "constraint": [{"leftOperand": "weather", "operator": "eq", "rightOperand": "fine"}],
                    }
                ]
            },
            "$.policy.permission[0].constraint[0]",
            "weather",
        ),
        (
            {
                "permission": [
                    {
                        "action": "use",
                        "constraint": [
                            {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "soon"}
                        ],
                    }
                ]
            },
            "$.policy.permission[0].constraint[0]",
            "cannot be read",
        ),
    ],
)
async def test_a_policy_that_cannot_be_enforced_is_refused_with_its_place(api, policy, path, word):
    answer = await api.post("policydefinitions", {"@id": "p", "policy": policy})
    assert (answer.status, answer.problem["path"]) == (400, path)
    assert word in answer.problem["message"]
    assert await api.found("policydefinitions/request") == []
    await api.created("policydefinitions", {"@id": "p", "policy": USE})
    assert (await api.put("policydefinitions/p", {"policy": policy})).problem["path"] == path


@pytest.mark.parametrize(
    "policy",
    [
        {"@type": "odrl:Set", "odrl:permission": {"odrl:action": {"@id": "odrl:use"}}},
        {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set", "permission": {"action": "use"}},
        {
            "@context": ["https://w3id.org/tractusx/policy/v1.0.0"],
            "permission": [{"action": "http://www.w3.org/ns/odrl/2/use"}],
        },
        {
            "@type": "http://www.w3.org/ns/odrl/2/Set",
            "http://www.w3.org/ns/odrl/2/permission": [
                {"http://www.w3.org/ns/odrl/2/action": {"@id": "http://www.w3.org/ns/odrl/2/use"}}
            ],
        },
        {
            "permission": [{"action": "use", "constraint": None}],
            "prohibition": None,
            "obligation": [],
            "@id": None,
        },
    ],
)
async def test_a_policy_may_be_written_in_any_spelling_of_odrl(api, policy):
    await api.created("policydefinitions", {"@id": "p", "policy": policy})
    shown = (await api.get("policydefinitions/p")).json["policy"]
    assert shown["@type"] == "Set"
    assert [each["action"] for each in shown["permission"]] == ["use"]
    assert (await api.put("policydefinitions/p", (await api.get("policydefinitions/p")).json)).status == 204


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.dataAddress"),
        ({"dataAddress": None}, "$.dataAddress"),
        ({"dataAddress": "x"}, "$.dataAddress"),
        ({"dataAddress": []}, "$.dataAddress"),
        ({"dataAddress": {}}, "$.dataAddress.type"),
        ({"dataAddress": {"type": "Kafka"}}, "$.dataAddress.type"),
        ({"dataAddress": {"type": "AmazonS3"}}, "$.dataAddress.bucketName"),
        ({"dataAddress": {"type": "AmazonS3", "accessKeyId": "x"}}, "$.dataAddress.accessKeyId"),
        ({"dataAddress": {"type": "AzureStorage", "container": "x"}}, "$.dataAddress.container"),
        ({"dataAddress": {"type": ["File"]}}, "$.dataAddress.type"),
        ({"dataAddress": {"type": "HttpData"}}, "$.dataAddress.baseUrl"),
        ({"dataAddress": {"type": "HttpData", "baseUrl": 7}}, "$.dataAddress.baseUrl"),
        ({"dataAddress": {"type": "HttpData", "baseUrl": "file:///etc/passwd"}}, "$.dataAddress.baseUrl"),
        ({"dataAddress": {"type": "HttpData", "baseUrl": "no address"}}, "$.dataAddress.baseUrl"),
        (
            {"dataAddress": {"type": "HttpData", "baseUrl": "http://169.254.169.254/meta"}},
            "$.dataAddress.baseUrl",
        ),
        ({"dataAddress": {"type": "HttpData", "baseUrl": "http://10.0.0.1/x"}}, "$.dataAddress.baseUrl"),
        ({"dataAddress": {"type": "HttpData", "baseUrl": "http://u:p@h.example/"}}, "$.dataAddress.baseUrl"),
        ({"dataAddress": {"type": "File"}}, "$.dataAddress.path"),
        ({"dataAddress": ADDRESS, "properties": []}, "$.properties"),
        ({"dataAddress": ADDRESS, "properties": {"a": 1, "edc:a": 2}}, "$.properties.a"),
        ({"dataAddress": ADDRESS, "privateProperties": "x"}, "$.privateProperties"),
    ],
)
async def test_an_asset_that_cannot_be_is_refused_with_its_place(api, body, path):
    answer = await api.post("assets", {"@id": "a", **body})
    assert (answer.status, answer.problem["path"]) == (400, path)
    assert await api.found("assets/request") == []


@pytest.mark.parametrize(
    "secret",
    [
        {"authCode": "s3cret"},
        {"authKey": "X-Auth", "authCode": "s3cret"},
        {"secretName": "s3cret"},
        {"header:Authorization": "s3cret"},
        {"oauth2:clientSecret": "s3cret"},
        {"baseUrl": "http://user:s3cret@127.0.0.1:1/x"},
        {"baseUrl": "http://127.0.0.1:1/x?sig=s3cret"},
        {"path": "a?token=s3cret"},
        {"queryParams": "token=s3cret"},
        {"proxyBody": "s3cret"},
    ],
)
async def test_credentials_of_a_data_address_are_never_shown_again_nor_stored_in_clear(api, site, secret):
    answer = await api.post("assets", {**ASSET, "dataAddress": {**ADDRESS, **secret}})
    if answer.status == 400:
        assert "s3cret" not in answer.body.decode()
        return
    assert answer.status == 200
    shown = await api.get("assets/asset-1")
    assert b"s3cret" not in shown.body
    assert "s3cret" not in str(await api.found("assets/request"))
    assert b"s3cret" not in stores.stored(site.conf)
    assert (await api.put("assets", shown.json)).status == 204  # what was shown is taken back
    rows = await site.rows("SELECT data_address_sealed FROM asset")
    assert b"s3cret" in site.connector.seal.open(rows[0][0], "asset-addressasset-1")


@pytest.mark.parametrize(
    "left", ["name", "edc:name", EDC + "name", f"'{EDC}name'", "properties.name", f"properties.'{EDC}name'"]
)
async def test_a_property_is_named_in_any_spelling(api, left):
    await api.created("assets", ASSET)
    await api.created("assets", {**ASSET, "@id": "asset-2", "properties": {"name": "other"}})
    found = await api.found("assets/request", query(criterion(left, "=", "a drawing")))
    assert [each["@id"] for each in found] == ["asset-1"]


@pytest.mark.parametrize(
    "left",
    [
        "'http://purl.org/dc/terms/type'.'@id'",
        "http://purl.org/dc/terms/type",
        "dct:type",
        "'dct:type'.'@id'",
    ],
)
@pytest.mark.parametrize("name", ["http://purl.org/dc/terms/type", "dct:type"])
async def test_the_type_filter_of_clients_finds_either_spelling(api, left, name):
    await api.created("assets", {"@id": "a", "properties": {name: {"@id": "urn:t"}}, "dataAddress": ADDRESS})
    await api.created("assets", {"@id": "b", "properties": {name: {"@id": "urn:u"}}, "dataAddress": ADDRESS})
    assert [
        each["@id"] for each in await api.found("assets/request", query(criterion(left, "=", "urn:t")))
    ] == ["a"]


@pytest.mark.parametrize(
    "properties", [{"@id": "other"}, {"createdAt": 1}, {"privateProperties": 1}, {"@type": "x"}]
)
async def test_properties_named_like_members_do_not_hide_them(api, properties):
    await api.created("assets", {"@id": "a", "properties": properties, "dataAddress": ADDRESS})
    assert [each["@id"] for each in await api.found("assets/request", query(criterion("id", "=", "a")))] == [
        "a"
    ]
    assert [each["@id"] for each in await api.found("assets/request", query(criterion("@id", "=", "a")))] == [
        "a"
    ]


async def test_pages_and_orders(api):
    for at in (3, 1, 2, 10):
        body = {"@id": f"a{at}", "properties": {"n": at, "s": str(at)}, "dataAddress": ADDRESS}
        await api.created("assets", body)

    async def ids(**more):
        return [each["@id"] for each in await api.found("assets/request", query(**more))]

    assert await ids(sortField="n") == ["a1", "a2", "a3", "a10"]
    assert await ids(sortField="n", sortOrder="DESC") == ["a10", "a3", "a2", "a1"]
    assert await ids(sortField=EDC + "s") == ["a1", "a10", "a2", "a3"]
    assert await ids(sortField="n", offset=1, limit=2) == ["a2", "a3"]
    assert await ids(offset=4) == []
    assert await ids(offset=10**9) == []
    times = await api.found("assets/request", query(sortField="createdAt", sortOrder="DESC", limit=10))
    assert [each["createdAt"] for each in times] == sorted(
        (each["createdAt"] for each in times), reverse=True
    )


async def test_the_default_page_has_fifty(api):
    await api.created("policydefinitions", POLICY)
    for at in range(60):
        await api.created("policydefinitions", {"@id": f"p{at}", "policy": USE})
    first = await api.found("policydefinitions/request")
    rest = await api.found("policydefinitions/request", query(offset=50))
    assert (len(first), len(rest)) == (50, 11)
    assert len({each["@id"] for each in first + rest}) == 61


async def test_an_asset_under_agreement_keeps_its_id(api):
    answer = await api.put("assets", {**ASSET, "@id": "nobody"})
    assert answer.status == 404
    assert edc.compact(ASSET)["@context"]
