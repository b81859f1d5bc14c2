"""What a provider does with the SDK: assets, policies, contract definitions; the shortcuts and the controllers."""

from __future__ import annotations

from typing import Any

from clients.tractusx.checks import CheckError, equal
from clients.tractusx.world import ID, World, answered, criterion, empty, ids, refused

SUBMODEL = "https://w3id.org/catenax/taxonomy#Submodel"
UNTIL = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2035-12-31T00:00:00Z"}
RULE = {"action": "use", "constraint": UNTIL}
FREE = {"action": "use"}


def asset(world: World, oid: str, **properties: Any) -> Any:
    """Make an asset model whose data is the back end's."""
    address = {"type": "HttpData", "baseUrl": f"{world.told['source']}/drawing.bin"}
    return world.model("asset", oid=oid, properties=properties, data_address=address)


def create_asset(world: World) -> str:
    """Use the provider's shortcut, with all that it puts into a data address."""
    base = world.told["source"]
    made = world.provider.provider.create_asset(
        "drawing", f"{base}/drawing.bin", dct_type=SUBMODEL, version="3.0", properties={"kind": "cad"}
    )
    equal(made["@id"], "drawing", "the id")
    return str(made)


def more_assets(world: World) -> None:
    """Make five more with the controller."""
    for number in range(1, 6):
        made = asset(world, f"part-{number}", kind="odd" if number % 2 else "even", size=number * 10)
        equal(answered(world.provider.provider.assets.create(made))["@id"], f"part-{number}", "the id")


def taken_asset(world: World) -> str:
    """Create one that is there."""
    return refused(world.provider.provider.assets.create(asset(world, "drawing")), 409, "drawing")


def taken_by_shortcut(world: World) -> str:
    """The shortcut raises an error of the SDK."""
    try:
        world.provider.provider.create_asset("drawing", world.told["source"])
    except ValueError as error:
        if "409" not in str(error):
            raise CheckError(f"the error does not name the status: {error}") from None
        return str(error)
    raise CheckError("it was taken")


def get_asset(world: World) -> None:
    """Get one by its id."""
    found = answered(world.provider.provider.assets.get_by_id("drawing"))
    equal([found["@id"], found["properties"]["kind"]], ["drawing", "cad"], "the asset")
    refused(world.provider.provider.assets.get_by_id("nothing"), 404, "nothing")


def update_asset(world: World) -> None:
    """PUT, with the id in the body."""
    assets = world.provider.provider.assets
    empty(assets.update(asset(world, "part-5", kind="odd", size=50, revision="C")))
    equal(answered(assets.get_by_id("part-5"))["properties"]["revision"], "C", "the revision")
    refused(assets.update(asset(world, "nothing")), 404, "nothing")


def find_assets(world: World) -> None:
    """Query: without a body, filtered, sorted, by pages."""
    assets = world.provider.provider.assets
    equal(len(answered(assets.get_all())), 6, "the number of all")
    equal(ids(world.query(assets, criterion(ID, "=", "part-2"))), ["part-2"], "by the id's IRI")
    odd = world.query(assets, criterion("kind", "=", "odd"), sort_field="id", sort_order="ASC")
    equal(ids(odd), ["part-1", "part-3", "part-5"], "by a property")
    typed = world.query(assets, criterion("'http://purl.org/dc/terms/type'.'@id'", "=", SUBMODEL))
    equal(ids(typed), ["drawing"], "by the type")
    like = criterion("id", "like", "part-%")
    page = world.query(assets, like, sort_field="id", sort_order="DESC", offset=1, limit=2)
    equal(ids(page), ["part-4", "part-3"], "the page")
    equal(ids(world.query(assets, like, limit=1)), ["part-5"], "the newest, by the SDK's own order")


def wrong_query(world: World) -> str:
    """An operator that does not exist."""
    spec = world.model("queryspec", filter_expression=[criterion("id", "resembles", "x")])
    return refused(world.provider.provider.assets.query(spec), 400, "operator")


def delete_asset(world: World) -> str:
    """Delete, and once more."""
    assets = world.provider.provider.assets
    empty(assets.delete("part-5"))
    return refused(assets.delete("part-5"), 404, "part-5")


def policies(world: World) -> None:
    """Create by the shortcut and by the controller."""
    service = world.provider.provider
    equal(service.create_policy("until-2035", permissions=[RULE])["@id"], "until-2035", "the id")
    for name in ("free-1", "free-2"):
        made = world.model("policy", oid=name, permissions=FREE)
        equal(answered(service.policies.create(made))["@id"], name, "the id")


def wrong_policies(world: World) -> str:
    """A taken id, and a term that cannot be enforced."""
    controller = world.provider.provider.policies
    refused(controller.create(world.model("policy", oid="free-1", permissions=FREE)), 409, "free-1")
    moon = {"action": "use", "constraint": {**UNTIL, "leftOperand": "moonPhase"}}
    return refused(controller.create(world.model("policy", oid="moon", permissions=moon)), 400, "moonPhase")


def get_policy(world: World) -> None:
    """Get one by its id, find some, and page."""
    controller = world.provider.provider.policies
    equal(answered(controller.get_by_id("until-2035"))["@id"], "until-2035", "the id")
    refused(controller.get_by_id("nothing"), 404, "nothing")
    equal(len(answered(controller.get_all())), 3, "the number of all")
    equal(ids(world.query(controller, criterion("id", "=", "free-2"))), ["free-2"], "by the id")
    page = world.query(controller, sort_field="id", sort_order="ASC", offset=1, limit=1)
    equal(ids(page), ["free-2"], "the page")
    spec = world.model("queryspec", filter_expression=[criterion("colour", "=", "red")])
    refused(controller.query(spec), 400, "colour")


def update_policy(world: World) -> None:
    """PUT without an id in the path, which is how the SDK sends it."""
    controller = world.provider.provider.policies
    empty(controller.update(world.model("policy", oid="free-2", permissions=RULE)))
    found = answered(controller.get_by_id("free-2"))["policy"]["permission"][0]
    equal(found["constraint"][0]["leftOperand"], "dateTime", "the constraint")


def delete_policy(world: World) -> str:
    """Delete one that nothing needs."""
    controller = world.provider.provider.policies
    empty(controller.delete("free-2"))
    return refused(controller.get_by_id("free-2"), 404, "free-2")


def contracts(world: World) -> None:
    """Create by the shortcut and by the controller."""
    service = world.provider.provider
    made = service.create_contract("for-drawing", "until-2035", "free-1", "drawing")
    equal(made["@id"], "for-drawing", "the id")
    for name, selected in (("for-part-1", "part-1"), ("spare", "part-4")):
        answered(service.contract_definitions.create(contract(world, name, selected)))
    refused(service.contract_definitions.create(contract(world, "spare", "part-4")), 409, "spare")


def contract(world: World, oid: str, selected: str, usage: str = "until-2035") -> Any:
    """Make a contract definition model."""
    return world.model(
        "contract_definition",
        oid=oid,
        access_policy_id="free-1",
        contract_policy_id=usage,
        assets_selector=[criterion(ID, "=", selected)],
    )


def get_contract(world: World) -> None:
    """Get one by its id, change it, find some, and page."""
    controller = world.provider.provider.contract_definitions
    empty(controller.update(contract(world, "spare", "part-3", "free-1")))
    found = answered(controller.get_by_id("spare"))
    equal([found["contractPolicyId"], found["accessPolicyId"]], ["free-1", "free-1"], "the policies")
    refused(controller.get_by_id("nothing"), 404, "nothing")
    equal(len(answered(controller.get_all())), 3, "the number of all")
    equal(
        ids(world.query(controller, criterion("contractPolicyId", "=", "free-1"))), ["spare"], "by a policy"
    )
    page = world.query(controller, sort_field="id", sort_order="ASC", offset=1, limit=1)
    equal(ids(page), ["for-part-1"], "the page")


def delete_contract(world: World) -> str:
    """Delete it; a policy that is still needed is not deleted."""
    service = world.provider.provider
    empty(service.contract_definitions.delete("spare"))
    refused(service.contract_definitions.get_by_id("spare"), 404, "spare")
    return refused(service.policies.delete("until-2035"), 409, "until-2035")


TABLE = [
    ("assets", "create by the shortcut", create_asset),
    ("assets", "create by the controller", more_assets),
    ("assets", "a taken id", taken_asset),
    ("assets", "a taken id by the shortcut", taken_by_shortcut),
    ("assets", "get", get_asset),
    ("assets", "update", update_asset),
    ("assets", "filter, sort, offset and limit", find_assets),
    ("assets", "an operator that does not exist", wrong_query),
    ("assets", "delete", delete_asset),
    ("policies", "create by the shortcut and the controller", policies),
    ("policies", "a taken id, a term that cannot be enforced", wrong_policies),
    ("policies", "get, filter, sort, offset and limit", get_policy),
    ("policies", "update without an id in the path", update_policy),
    ("policies", "delete", delete_policy),
    ("contract definitions", "create by the shortcut and the controller, a taken id", contracts),
    ("contract definitions", "get, update, filter, sort, offset and limit", get_contract),
    ("contract definitions", "delete, and a policy in use", delete_contract),
]
