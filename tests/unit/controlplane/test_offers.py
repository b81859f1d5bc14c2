"""Assets, policy definitions and contract definitions: stored, changed, found."""

import pytest

from comity.controlplane import content, offers
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from comity.management import offers as forms
from comity.management import query

USE = {"permission": [{"action": "use"}]}
URL = {"type": "HttpData", "baseUrl": "https://back.example/x"}


def asset(name="", *, address=URL, new=True, **properties):
    return forms.decode_asset(
        {"@id": name or None, "properties": properties, "dataAddress": address}, new=new
    )


def contract(name, policy="p", selector=()):
    return forms.decode_contract(
        {"@id": name, "accessPolicyId": policy, "contractPolicyId": policy, "assetsSelector": list(selector)}
    )


def spec(*criteria, **more):
    listed = [dict(zip(("operandLeft", "operator", "operandRight"), each, strict=True)) for each in criteria]
    return query.parse({"filterExpression": listed, **more})


async def stored(bench, name):
    return await bench.database.read(lambda tx: offers.offers.load(tx, Asset, name))


async def test_an_asset_without_an_id_gets_one(bench):
    made = await offers.create_asset(bench.connector, asset(name_="x"))
    assert made.id.startswith("urn:test:")
    document = await offers.load(bench.connector, Asset, made.id)
    assert document["properties"] == {"name_": "x", "id": made.id}
    assert document["createdAt"] == made.created_at


async def test_a_data_address_is_sealed_for_its_asset(bench):
    await offers.create_asset(bench.connector, asset("a"))
    row = await stored(bench, "a")
    assert b"back.example" not in row.data_address_sealed
    assert b"back.example" in bench.connector.seal.open(row.data_address_sealed, content.ADDRESS + "a")


async def test_an_id_is_taken_once(bench):
    await offers.create_asset(bench.connector, asset("a", n=1))
    with pytest.raises(ConflictError, match="a exists already"):
        await offers.create_asset(bench.connector, asset("a", n=2))
    assert (await offers.load(bench.connector, Asset, "a"))["properties"]["n"] == 1


async def test_a_file_is_hashed_when_it_is_created_and_when_it_is_put(bench, tmp_path):
    file = tmp_path / "shelf" / "a.txt"
    file.write_bytes(b"one")
    address = {"type": "File", "path": str(file)}
    await offers.create_asset(bench.connector, asset("a", address=address))
    first = await stored(bench, "a")
    assert first.content_id
    await offers.change_asset(bench.connector, asset("a", address=None, new=False, n=1))
    assert (await stored(bench, "a")).content_id == first.content_id
    file.write_bytes(b"two")
    await offers.change_asset(bench.connector, asset("a", address=address))
    assert (await stored(bench, "a")).content_id != first.content_id
    assert (await stored(bench, "a")).created_at == first.created_at


async def test_an_address_changes_only_when_another_one_is_given(bench):
    secret = {"type": "HttpData", "baseUrl": "https://back.example/x?sig=1"}
    await offers.create_asset(bench.connector, asset("a", address=secret))
    first = await stored(bench, "a")
    shown = (await offers.load(bench.connector, Asset, "a"))["dataAddress"]
    assert shown["baseUrl"] == URL["baseUrl"]
    await offers.change_asset(bench.connector, asset("a", address=shown, n=2))
    assert (await stored(bench, "a")).data_address_sealed == first.data_address_sealed
    assert (await stored(bench, "a")).properties == {"n": 2}
    other = {**URL, "baseUrl": "https://back.example/y"}
    await offers.change_asset(bench.connector, asset("a", address=other))
    assert (await offers.load(bench.connector, Asset, "a"))["dataAddress"]["baseUrl"] == other["baseUrl"]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ({"type": "Kafka"}, "$.dataAddress.type"),
        ({"type": "AmazonS3", "bucketName": "any", "objectName": "x"}, "$.dataAddress.bucketName"),
        ({"baseUrl": "https://x"}, "$.dataAddress.type"),
        ({"type": "HttpData"}, "$.dataAddress.baseUrl"),
        ({"type": "HttpData", "baseUrl": "http://127.0.0.1/x"}, "$.dataAddress.baseUrl"),
        ({"type": "File"}, "$.dataAddress.path"),
    ],
)
async def test_an_address_that_cannot_be_served_is_refused(bench, address, path):
    with pytest.raises(InvalidInputError) as caught:
        await offers.create_asset(bench.connector, asset("a", address=address))
    assert caught.value.path == path
    with pytest.raises(NotFoundError):
        await offers.load(bench.connector, Asset, "a")


@pytest.mark.parametrize("path", ["/etc/passwd", "shelf/a", "{shelf}/../secret", "{shelf}/none", "{shelf}"])
async def test_a_file_elsewhere_is_refused(bench, tmp_path, path):
    (tmp_path / "secret").write_bytes(b"s")
    address = {"type": "File", "path": path.format(shelf=tmp_path / "shelf")}
    with pytest.raises(StorageError):
        await offers.create_asset(bench.connector, asset("a", address=address))


async def test_what_is_not_there_cannot_be_changed_or_removed(bench):
    with pytest.raises(NotFoundError):
        await offers.change_asset(bench.connector, asset("a"))
    with pytest.raises(NotFoundError):
        await offers.change_policy(bench.connector, forms.decode_policy({"@id": "p", "policy": USE}))
    for kind in (Asset, PolicyDefinition, ContractDefinition):
        with pytest.raises(NotFoundError):
            await offers.remove(bench.connector, kind, "x")


async def test_a_contract_definition_needs_policies_that_exist_and_keeps_them(bench):
    with pytest.raises(InvalidInputError) as caught:
        await offers.create_contract(bench.connector, contract("c"))
    assert caught.value.path == "$.accessPolicyId"
    await offers.create_policy(bench.connector, forms.decode_policy({"@id": "p", "policy": USE}))
    await offers.create_contract(bench.connector, contract("c"))
    with pytest.raises(ConflictError, match="used by contract definition c"):
        await offers.remove(bench.connector, PolicyDefinition, "p")
    with pytest.raises(InvalidInputError):
        await offers.change_contract(bench.connector, contract("c", policy="q"))
    await offers.remove(bench.connector, ContractDefinition, "c")
    await offers.remove(bench.connector, PolicyDefinition, "p")


async def test_assets_are_found_by_any_property(bench):
    for name, kind, size in (("a", "urn:t1", 5), ("b", "urn:t2", 7), ("c", "urn:t1", 9)):
        await offers.create_asset(bench.connector, asset(name, **{"dct:type": {"@id": kind}, "size": size}))

    async def ids(*criteria, **more):
        return [each["@id"] for each in await offers.find_assets(bench.connector, spec(*criteria, **more))]

    assert await ids() == ["a", "b", "c"]
    assert await ids(("'http://purl.org/dc/terms/type'.'@id'", "=", "urn:t1")) == ["a", "c"]
    assert await ids(("https://w3id.org/edc/v0.0.1/ns/id", "in", ["b", "c"])) == ["b", "c"]
    assert await ids(("size", ">", 5), ("dct:type", "!=", "urn:t2")) == ["c"]
    assert await ids(("noSuchProperty", "=", "x")) == []
    assert await ids(sortField="size", sortOrder="DESC", limit=2) == ["c", "b"]
    assert await ids(sortField="createdAt", sortOrder="DESC", offset=1) == ["b", "a"]


async def test_a_property_cannot_pretend_to_be_an_id(bench):
    await offers.create_asset(bench.connector, asset("a", **{"@id": "b"}))
    await offers.create_asset(bench.connector, asset("b"))
    found = await offers.find_assets(bench.connector, spec(("@id", "=", "b")))
    assert [each["@id"] for each in found] == ["b"]


async def test_definitions_are_found_by_their_fields_only(bench):
    for name in ("p", "q"):
        await offers.create_policy(bench.connector, forms.decode_policy({"@id": name, "policy": USE}))
    await offers.create_contract(bench.connector, contract("c", "p"))
    await offers.create_contract(bench.connector, contract("d", "q"))
    found = await offers.find_contracts(bench.connector, spec(("contractPolicyId", "=", "q")))
    assert [each["@id"] for each in found] == ["d"]
    found = await offers.find_policies(bench.connector, spec(("id", "!=", "p")))
    assert [each["@id"] for each in found] == ["q"]
    for find in (offers.find_contracts, offers.find_policies):
        with pytest.raises(InvalidInputError):
            await find(bench.connector, spec(("policy", "=", "x")))


async def test_what_an_asset_was_made_from_is_not_forgotten_when_it_is_changed(bench, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / "shelf" / name).write_bytes(name.encode())
    first, second = ({"type": "File", "path": str(tmp_path / "shelf" / name)} for name in ("a.txt", "b.txt"))
    form = forms.decode_asset(
        {"@id": "a", "privateProperties": {"derivedFrom": ["urn:agreement"]}, "dataAddress": first}
    )
    await offers.create_asset(bench.connector, form)
    for address in (second, URL, None):
        body = {"@id": "a", "properties": {}, **({"dataAddress": address} if address else {})}
        await offers.change_asset(bench.connector, forms.decode_asset(body, new=False))
        assert (await stored(bench, "a")).private_properties == {"derivedFrom": ["urn:agreement"]}
