"""Endpoints of what is offered, by hand or as a package: decode, one use case, encode.

What is decided is `controlplane.offers` and `controlplane.publish`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

import msgspec

from comity import errors
from comity.api.management import call as calls
from comity.api.management.call import Call, Document, Endpoint
from comity.controlplane import offers, publish
from comity.controlplane.connector import Connector
from comity.db import offers as rows
from comity.management import approvals, query, wire
from comity.management import offers as forms
from comity.techdata import effectivity
from comity.techdata.effectivity import Anew, Effectivity


async def create_asset(connector: Connector, call: Call) -> Document:
    """POST assets."""
    form = forms.decode_asset(call.body)
    calls.check_secrets(call, forms.named_secrets(form))
    created = await offers.create_asset(connector, form)
    return wire.id_response(created.id, created.created_at)


async def change_asset(connector: Connector, call: Call) -> None:
    """PUT assets."""
    form = forms.decode_asset(call.body, new=False)
    form = msgspec.structs.replace(form, id=_named(call, form.id))
    if not await offers.keeps_address(connector, form):
        calls.check_secrets(call, forms.named_secrets(form))
    await offers.change_asset(connector, form)


async def find_assets(connector: Connector, call: Call) -> list[Document]:
    """POST assets/request."""
    return await offers.find_assets(connector, query.parse(call.body))


async def create_policy(connector: Connector, call: Call) -> Document:
    """POST policydefinitions."""
    created = await offers.create_policy(connector, forms.decode_policy(call.body))
    return wire.id_response(created.id, created.created_at)


async def change_policy(connector: Connector, call: Call) -> None:
    """PUT policydefinitions, PUT policydefinitions/{id}."""
    form = forms.decode_policy(call.body)
    await offers.change_policy(connector, msgspec.structs.replace(form, id=_named(call, form.id)))


async def find_policies(connector: Connector, call: Call) -> list[Document]:
    """POST policydefinitions/request."""
    return await offers.find_policies(connector, query.parse(call.body))


async def create_contract(connector: Connector, call: Call) -> Document:
    """POST contractdefinitions."""
    created = await offers.create_contract(connector, forms.decode_contract(call.body), by=call.caller)
    return wire.id_response(created.id, created.created_at)


async def change_contract(connector: Connector, call: Call) -> None:
    """PUT contractdefinitions."""
    form = forms.decode_contract(call.body)
    form = msgspec.structs.replace(form, id=_named(call, form.id))
    await offers.change_contract(connector, form, by=call.caller)


async def find_contracts(connector: Connector, call: Call) -> list[Document]:
    """POST contractdefinitions/request."""
    return await offers.find_contracts(connector, query.parse(call.body))


def load(kind: type[rows.T]) -> Endpoint:
    """Return the endpoint GET {id} of a kind."""

    async def endpoint(connector: Connector, call: Call) -> Document:
        return await offers.load(connector, kind, call.id)

    return endpoint


def remove(kind: type[rows.T]) -> Endpoint:
    """Return the endpoint DELETE {id} of a kind."""

    async def endpoint(connector: Connector, call: Call) -> None:
        await offers.remove(connector, kind, call.id)

    return endpoint


def _named(call: Call, named: str) -> str:
    """Return the id of a change, which is in the path, in the body, or in both alike."""
    if call.id and named and named != call.id:
        raise errors.InvalidInputError(f"the body's id is {named}, the path's {call.id}", path="$.@id")
    if not call.id and not named:
        raise errors.InvalidInputError("a change needs the id of what is changed", path="$.@id")
    return call.id or named


async def publish_package(connector: Connector, call: Call) -> Document:
    """POST packages: answers when every file is hashed."""
    asset_id = wire.text(call.body, "assetId")
    published = await publish.publish(
        connector,
        wire.text(call.body, "folder", required=True),
        asset_id=wire.check_id(asset_id, "$.assetId") if asset_id else "",
        title=wire.text(call.body, "title"),
        policy=_policy(call, "policy"),
        access_policy=_policy(call, "accessPolicy"),
        properties=wire.properties(call.body, "properties") or None,
        approval=approvals.read(call.body),
        framework=wire.text(call.body, "framework"),
        derived_from=wire.texts(call.body, "derivedFrom"),
        effectivity=_effectivity(call),
        keep_terms="terms" in _kept(call),
        again=wire.flag(call.body, "again"),
        answers=wire.texts(call.body, "answers"),
        by=call.caller,
    )
    document: Document = msgspec.to_builtins(published)
    document["policy"] = wire.policy(published.policy)
    return wire.document("Package", published.asset_id, **document)


async def find_publishing(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    """GET packages/publishing."""
    return [wire.document("Publishing", **msgspec.to_builtins(each)) for each in connector.publishing.find()]


def _effectivity(call: Call) -> tuple[Effectivity, ...] | Anew | None:
    """Return for what it is meant, None where nothing is said: it stays as it was."""
    said = query.get(call.body, "effectivity")
    if said is None:
        return None
    return effectivity.read_anew(said) if "effectivity" in _kept(call) else effectivity.read(said)


def _kept(call: Call) -> list[str]:
    """Return of what that which is not said stays."""
    kept = wire.texts(call.body, "keep")
    if more := set(kept) - {"terms", "effectivity"}:
        raise errors.InvalidInputError(
            f"{min(more)[:100]} cannot be kept: terms and effectivity can", path="$.keep"
        )
    return kept


def _policy(call: Call, name: str) -> Document | None:
    """Return a policy, None where there is none: an empty one is refused later, it would not mean "everybody"."""
    return None if query.get(call.body, name) is None else wire.mapping(call.body, name)
