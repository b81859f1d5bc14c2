"""What only the newer half of the SDK, saturn, has: health, discovery, data planes, policy checks, retirement."""

from __future__ import annotations

from typing import Any

from tractusx_sdk.dataspace.models.connector import saturn

from clients.tractusx.checks import CheckError, equal
from clients.tractusx.consuming import POLICIES
from clients.tractusx.processes import fetched, start
from clients.tractusx.world import ID, World, answered, criterion, empty, ids, reaches, refused


def health(world: World) -> None:
    """The four checks, which the SDK looks for below the management API."""
    controller = world.provider.controller("application_observability")
    for name in ("health", "liveness", "readiness", "startup"):
        found = answered(getattr(controller, f"get_{name}")())
        equal(found["isSystemHealthy"], True, f"isSystemHealthy of {name}")


def dataplanes(world: World) -> str:
    """Both versions of the list."""
    controller = world.provider.controller("dataplane_selector")
    found = answered(controller.get_all_v3())
    if not any("HttpData-PULL" in each.get("allowedTransferTypes", ()) for each in found):
        raise CheckError(f"no data plane has HttpData-PULL: {found}")
    answered(controller.get_all_v4alpha())
    return str(ids(found))


def discovery(world: World) -> str:
    """The parameters of a partner, then catalog and data by its name alone."""
    service = world.consumer.consumer
    found = service.get_discovery_info(bpnl=world.provider.did, counter_party_address=world.provider.dsp)
    equal(list(found), [world.provider.dsp, world.provider.did, world.protocol], "what was discovered")
    answer = service.do_get_with_bpnl(
        bpnl=world.provider.did,
        counter_party_address=world.provider.dsp,
        filter_expression=[criterion(ID, "=", "drawing")],
        policies=POLICIES,
    )
    return world.is_file(answer.content)


def versions(world: World) -> str:
    """The protocol versions of a partner."""
    asked = world.model("catalog", **world.partner)
    found = answered(world.consumer.controller("protocol_version").get_discover(asked))
    if "2025-1" not in str(found):
        raise CheckError(f"2025-1 is not in {found}")
    return str(found)[:160]


def dataset(world: World) -> None:
    """One dataset by its id."""
    asked = saturn.CatalogDatasetRequestModel(oid="drawing", protocol=world.protocol, **world.partner)
    found = answered(world.consumer.consumer.catalogs.get_by_dataset(asked))
    equal(found["@id"], "drawing", "the dataset")


def check_policy(world: World) -> str:
    """Validate a policy definition, and see how it would be evaluated."""
    controller = world.provider.provider.policies
    equal(answered(controller.validate_policy("until-2035"))["isValid"], True, "isValid")
    asked = saturn.EvaluationPolicyModel(policy_scope="contract.negotiation")
    found = answered(controller.evaluation_plan("until-2035", asked))
    refused(controller.validate_policy("nothing"), 404, "nothing")
    return str(found)[:160]


def agreement_of(world: World) -> None:
    """The agreement of a negotiation."""
    negotiation = world.seen["negotiation"]
    controller = world.consumer.consumer.contract_negotiations
    found = answered(controller.get_agreement_by_negotiation_id(negotiation["@id"]))
    equal(found["@id"], negotiation["contractAgreementId"], "the agreement")
    by_other_path = world.consumer.controller("contract_agreement").get_negotiation_by_id_v4alpha(
        found["@id"]
    )
    equal(answered(by_other_path)["@id"], negotiation["@id"], "the negotiation, by v4alpha")


def suspend(world: World) -> str:
    """Suspend and resume, which the SDK does without a body; the data again."""
    oid = start(world)
    controller = world.consumer.consumer.transfer_processes
    empty(controller.suspend_by_id(oid))
    reaches(controller, oid, "SUSPENDED")
    empty(controller.resume_by_id(oid))
    reaches(controller, oid, "STARTED")
    return fetched(world, oid)


def retire(world: World) -> str:
    """Retire an agreement: nothing starts under it any more; take it back."""
    controller = world.provider.controller("contract_agreement")
    oid = world.seen["negotiation"]["contractAgreementId"]
    asked: Any = saturn.ContractAgreementRetirementModel(agreement_id=oid, reason="withdrawn")
    taken = controller.agreement_retirement(asked)
    equal(taken.ok, True, f"whether {taken.status_code} is a success ({taken.text[:200]})")
    found = answered(controller.get_all_retired_agreements())
    equal([each["agreementId"] for each in found], [oid], "the retired")
    refused(controller.agreement_retirement(asked), 409, oid)
    empty(controller.delete_retired_agreement_by_id(oid))
    return refused(controller.delete_retired_agreement_by_id(oid), 404, oid)


TABLE = [
    ("health", "the four checks", health),
    ("data planes", "list, v3 and v4alpha", dataplanes),
    ("discovery", "parameters of a partner, do_get_with_bpnl", discovery),
    ("discovery", "protocol versions", versions),
    ("catalog", "one dataset", dataset),
    ("policies", "validate, evaluation plan", check_policy),
    ("agreement", "of a negotiation, and v4alpha", agreement_of),
    ("transfer", "suspend and resume", suspend),
    ("agreement", "retire, list, take back", retire),
]
