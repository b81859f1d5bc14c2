"""What Comity can send is valid by the specification's JSON schemas, and what the specification shows can be read."""

import json

import msgspec
import pytest

from comity import strict_json
from comity.dsp import catalog, codec, machine, messages, negotiation, process, terms, transfer, version
from comity.odrl import model
from support import schemas, specification

pytestmark = specification.missing

CALLBACK = "https://alpha.example/dsp/2025-1"
ID = "urn:uuid:11111111-1111-4111-8111-111111111111"
CONSTRAINT = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-12-31"}
POLICIES = {
    "plain": {"permission": [{"action": "use"}]},
    "constrained": {
        "profile": "https://alpha.example/profile",
        "permission": [{"action": "use", "constraint": [{"and": [CONSTRAINT, {"or": [CONSTRAINT]}]}]}],
    },
    "prohibited": {"permission": [], "prohibition": [{"action": "use", "constraint": [CONSTRAINT]}]},
    "obliged": {"permission": [{"action": "use"}], "obligation": [{"action": "delete", "constraint": []}]},
}
MESSAGES = {
    kind.__name__: kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, messages.Message) and kind is not messages.Message
}


def schema_of(kind):
    return f"{schemas.PLACES[kind]}-schema.json"


def a_negotiation(policy="plain", **more):
    offer = negotiation.message_offer(
        model.format(model.parse({"@id": "urn:o", **POLICIES[policy]})), offer_id="urn:o", target="asset"
    )
    values = {
        "id": "urn:uuid:us",
        "role": terms.CONSUMER,
        "counterparty_id": "did:web:beta.example",
        "counterparty_address": "https://beta.example/dsp",
        "counterparty_pid": "urn:uuid:them",
        "state": terms.OFFERED,
        "version": 1,
        "asset_id": "asset",
        "offer": offer,
        "offered_by": terms.PROVIDER,
        "created_at": 1,
        "updated_at": 1,
    }
    return negotiation.Negotiation(**{**values, **more})


def a_transfer(**more):
    values = {
        "id": "urn:uuid:us",
        "role": terms.CONSUMER,
        "counterparty_id": "did:web:beta.example",
        "counterparty_address": "https://beta.example/dsp",
        "counterparty_pid": "urn:uuid:them",
        "state": terms.STARTED,
        "version": 1,
        "agreement_id": "urn:uuid:agreement",
        "asset_id": "asset",
        "format": transfer.PULL,
        "created_at": 1,
        "updated_at": 1,
    }
    return transfer.Transfer(**{**values, **more})


def negotiation_messages():
    for policy in POLICIES:
        for role in (terms.CONSUMER, terms.PROVIDER):
            for pid in (None, "urn:uuid:them"):
                record = a_negotiation(policy, role=role, counterparty_pid=pid)
                build = negotiation.request_message if role == terms.CONSUMER else negotiation.offer_message
                yield build(record, callback_address=CALLBACK, message_id=ID)
        record = a_negotiation(policy, role=terms.PROVIDER)
        agreement = negotiation.agreement_document(
            record.offer,
            agreement_id="urn:uuid:agreement",
            provider_id="did:web:alpha.example",
            consumer_id="did:web:beta.example",
            timestamp="2026-01-01T00:00:00.000Z",
        )
        yield negotiation.agreement_message(record, agreement, message_id=ID)
    record = a_negotiation()
    yield negotiation.verification_message(record, message_id=ID)
    for event in (terms.ACCEPTED, terms.FINALIZED):
        yield negotiation.event_message(record, event, message_id=ID)
    for code in (None, "refused"):
        yield negotiation.termination_message(record, "it is over", code=code, message_id=ID)
    for state in set(machine.NEGOTIATION.values()):
        yield negotiation.answer(record, state)


def transfer_messages():
    record = a_transfer()
    yield transfer.request_message(
        a_transfer(counterparty_pid=None), callback_address=CALLBACK, message_id=ID
    )
    address = transfer.data_address("https://alpha.example/data/x", "token")
    for each in (None, address):
        yield transfer.start_message(record, each, message_id=ID)
    yield transfer.suspension_message(record, "a pause", message_id=ID)
    yield transfer.completion_message(record, message_id=ID)
    for code in (None, "refused"):
        yield transfer.termination_message(record, "it is over", code=code, message_id=ID)
    for state in set(machine.TRANSFER.values()):
        yield transfer.answer(record, state)


def other_messages():
    for name in ("ContractNegotiationError", "TransferError", "CatalogError"):
        pids = {} if name == "CatalogError" else {"provider_pid": "urn:uuid:a", "consumer_pid": "urn:uuid:b"}
        for more in ({}, {"code": "not-found", "reason": ["there is no such process"]}):
            yield MESSAGES[name](context=messages.CONTEXT, **pids, **more)
    for each in (None, [], [{"@type": "QuerySpec"}]):
        yield messages.CatalogRequestMessage(context=messages.CONTEXT, id=ID, filter=each)


BUILT = [*negotiation_messages(), *transfer_messages(), *other_messages()]


def label(value):
    return type(value).__name__ if isinstance(value, messages.Message) else None


@pytest.mark.parametrize("message", BUILT, ids=label)
def test_a_message_that_is_built_is_valid_and_is_read_back_as_it_was(message):
    body = messages.encode(message)
    kind = type(message)
    assert specification.errors_of(schema_of(kind.__name__), json.loads(body)) == []
    assert codec.decode(body, kind) == (message, json.loads(body))


def test_every_kind_of_message_was_built():
    assert {type(each).__name__ for each in BUILT} == set(MESSAGES)


def test_the_schemas_refuse_what_lacks_a_required_field():
    for kind, message in {type(each).__name__: each for each in BUILT}.items():
        document = json.loads(messages.encode(message))
        for name in ("@context", "@type"):
            rest = {key: value for key, value in document.items() if key != name}
            assert specification.errors_of(schema_of(kind), rest), (kind, name)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_catalog_with_a_dataset_is_valid(policy):
    offers = [
        catalog.offer(model.format(model.parse({"@id": "urn:o", **POLICIES[policy]})), f"urn:o:{number}")
        for number in range(2)
    ]
    dataset = catalog.dataset("asset", {"dct:title": "T", "@type": "x", "hasPolicy": 1}, offers, CALLBACK)
    whole = catalog.catalog("did:web:alpha.example", "urn:uuid:catalog", [dataset], CALLBACK)
    assert specification.errors_of("catalog/catalog-schema.json", whole) == []
    alone = {"@context": messages.CONTEXT, **dataset}
    assert specification.errors_of("catalog/dataset-schema.json", alone) == []


def test_an_empty_catalog_is_valid():
    empty = catalog.catalog("did:web:alpha.example", "urn:uuid:catalog", [], CALLBACK)
    assert specification.errors_of("catalog/catalog-schema.json", empty) == []
    assert specification.errors_of("catalog/catalog-schema.json", {**empty, "dataset": []})


@pytest.mark.parametrize("participant_id", ["did:web:alpha.example", "BPNL00000000000A"])
def test_the_version_answer_is_valid(participant_id):
    document = version.document(participant_id)
    assert specification.errors_of("common/protocol-version-schema.json", document) == []
    assert "@context" not in document


DECODED = [path for path in specification.examples() if "did-service" not in path.name]


@pytest.mark.parametrize("path", DECODED, ids=lambda path: path.name)
def test_an_example_of_the_specification_is_valid_by_its_own_schema(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    schema = {
        "protocol-version.json": "common/protocol-version-schema.json",
        "dataset.json": "catalog/dataset-schema.json",
    }.get(path.name) or schema_of(document["@type"])
    assert specification.errors_of(schema, document) == []


@pytest.mark.parametrize("path", DECODED, ids=lambda path: path.name)
def test_an_example_of_the_specification_is_read(path):
    body = path.read_bytes()
    document = strict_json.decode_object(body)
    kind = document.get("@type")
    if kind in MESSAGES:
        message, whole = codec.decode(body, MESSAGES[kind])
        assert whole == document
        assert json.loads(messages.encode(message)) == document
    elif kind == "Catalog":
        codec.check_context(document)
        assert catalog.read_datasets(document) == document.get("dataset", [])
    else:
        assert path.name in {"dataset.json", "dataset-request-message.json", "protocol-version.json"}


@pytest.mark.parametrize("path", specification.examples("negotiation"), ids=lambda path: path.name)
def test_the_offers_and_agreements_of_the_examples_pass_our_checks(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    if "offer" in document:
        negotiation.check_offer(document["offer"])
    if "agreement" in document:
        agreed = document["agreement"]
        offer = {n: v for n, v in agreed.items() if n not in {"assigner", "assignee", "timestamp"}}
        negotiation.check_agreement(
            agreed, offer, provider_id=agreed["assigner"], consumer_id=agreed["assignee"]
        )


@pytest.mark.parametrize("path", specification.examples("transfer"), ids=lambda path: path.name)
def test_the_data_addresses_of_the_examples_are_understood(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    if "dataAddress" in document:
        found = transfer.access(document["dataAddress"])
        assert found == transfer.Access("http://example.com", "Bearer TOKEN-ABCDEFG")


def test_every_message_of_the_state_tables_has_a_schema_and_an_endpoint():
    keys = {message for table in machine.TABLES.values() for _, message, _ in table}
    for key in keys:
        kind = key.partition(":")[0]
        assert kind in schemas.PLACES
        assert issubclass(MESSAGES[kind], msgspec.Struct)
        record = a_negotiation() if kind.startswith("Contract") else a_transfer()
        assert record.path(key).startswith(("/negotiations/urn:uuid:them/", "/transfers/urn:uuid:them/"))


def test_the_answer_to_every_step_is_a_state_that_the_schema_knows():
    for kind, table in machine.TABLES.items():
        for (state, message, sender), after in table.items():
            step = process.receive(kind, state, None, message, sender)
            record = a_negotiation() if kind == terms.NEGOTIATION else a_transfer()
            build = negotiation.answer if kind == terms.NEGOTIATION else transfer.answer
            answer = build(record, step.after)
            assert step.after == after
            document = json.loads(messages.encode(answer))
            assert specification.errors_of(schema_of(type(answer).__name__), document) == []
