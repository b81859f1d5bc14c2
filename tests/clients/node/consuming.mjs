// What a consumer does with v3: catalog, negotiation, agreement, transfer, the data itself, EDRs, terminations; queries.

import { EdcConnectorClientErrorType as Kind, PolicyBuilder } from "@think-it-labs/edc-connector-client";
import { readFileSync } from "node:fs";
import { equal, eventually, holds, reaches, refused } from "./checks.mjs";
import { digest, fetched } from "./world.mjs";

const ids = (found) => found.map((each) => each.id);
const criterion = (operandLeft, operator, operandRight) => ({ operandLeft, operator, operandRight });
const ODRL = "http://www.w3.org/ns/odrl/2/";
const value = (entity, name) => entity.mandatoryValue("edc", name);
const at = (told) => ({ counterPartyId: told.provider.did, counterPartyAddress: told.provider.dsp });

async function offerOf({ consumer, told }, assetId) {
  const found = await consumer.management.catalog.requestDataset({ "@id": assetId, ...at(told) });
  return found.offers[0];
}

// The offer as the client has it: expanded JSON-LD, with whom and what it is about added.
function asked(offer, told, assetId, changes = {}) {
  return new PolicyBuilder().raw({ ...offer, assigner: told.provider.did, target: assetId, ...changes }).build();
}

async function negotiated(state, assetId, policy) {
  const negotiations = state.consumer.management.contractNegotiations;
  const { id } = await negotiations.initiate({ ...at(state.told), policy });
  await reaches(async () => (await negotiations.getState(id)).state, "FINALIZED");
  return negotiations.get(id);
}

async function started({ consumer, told }, contractId) {
  const transfers = consumer.management.transferProcesses;
  const { id } = await transfers.initiate({ ...at(told), contractId, transferType: "HttpData-PULL" });
  await reaches(async () => (await transfers.getState(id)).state, "STARTED");
  return id;
}

// The provider's side of a process: its own id for it.
async function theirs(controller, id) {
  const found = await controller.queryAll({ filterExpression: [criterion("correlationId", "=", id)] });
  equal(found.length, 1, "the number of processes of the provider with this correlationId");
  return found[0];
}

export const catalog = [
  ["catalog", "request", async ({ consumer, told }) => {
    const found = await consumer.management.catalog.request(at(told));
    equal(ids(found.datasets).sort(), ["drawing", "part-1"], "the datasets");
    equal(found.datasets.map((each) => each.offers.length), [1, 1], "the numbers of offers");
    equal(found.participantId, told.provider.did, "the participant");
  }],
  ["catalog", "filter", async ({ consumer, told }) => {
    const querySpec = { filterExpression: [criterion("https://w3id.org/edc/v0.0.1/ns/id", "=", "part-1")] };
    equal(ids((await consumer.management.catalog.request({ ...at(told), querySpec })).datasets), ["part-1"], "the datasets");
  }],
  ["catalog", "sort, offset and limit", async ({ consumer, told }) => {
    const querySpec = { sortField: "id", sortOrder: "DESC", offset: 1, limit: 1 };
    equal(ids((await consumer.management.catalog.request({ ...at(told), querySpec })).datasets), ["drawing"], "the datasets");
  }],
  ["catalog", "one dataset", async (state) => {
    const offer = await offerOf(state, "drawing");
    holds(offer.id, "the offer has no id");
    equal(offer.array("odrl", "permission").length, 1, "the number of permissions");
  }],
  ["catalog", "a dataset that is not there", async ({ consumer, told }) =>
    refused(() => consumer.management.catalog.requestDataset({ "@id": "nothing", ...at(told) }), Kind.BadGateway, "404")],
  ["catalog", "without a counter-party", async ({ consumer }) =>
    refused(() => consumer.management.catalog.request({}), Kind.BadRequest, "counterPartyId")],
  ["catalog", "a partner that cannot be reached", async ({ consumer, told }) => {
    const wrong = { ...at(told), counterPartyAddress: told.nobody };
    return refused(() => consumer.management.catalog.request(wrong), Kind.BadGateway, "");
  }],
];

export const negotiation = [
  ["negotiation", "initiate with the catalog's offer, to FINALIZED", async (state) => {
    const offer = await offerOf(state, "drawing");
    state.negotiation = await negotiated(state, "drawing", asked(offer, state.told, "drawing"));
    holds(state.negotiation.contractAgreementId, "there is no contractAgreementId");
    equal(value(state.negotiation, "type"), "CONSUMER", "the type");
    equal(value(state.negotiation, "counterPartyId"), state.told.provider.did, "the counter-party");
  }],
  ["negotiation", "initiate with an offer written by hand", async (state) => {
    const offer = await offerOf(state, "part-1");
    const constraint = { leftOperand: "dateTime", operator: "lteq", rightOperand: "2035-12-31T00:00:00Z" };
    const policy = new PolicyBuilder().type("Offer").raw({
      "@id": offer.id, assigner: state.told.provider.did, target: "part-1", permission: [{ action: "use", constraint: [constraint] }],
    }).build();
    await negotiated(state, "part-1", policy);
  }],
  ["negotiation", "get of one that is not there", async ({ consumer }) =>
    refused(() => consumer.management.contractNegotiations.get("nothing"), Kind.NotFound, "nothing")],
  ["negotiation", "initiate without an offer", async ({ consumer, told }) =>
    refused(() => consumer.management.contractNegotiations.initiate(at(told)), Kind.BadRequest, "policy")],
  ["negotiation", "filter, sort, offset and limit", async ({ consumer, told, negotiation }) => {
    const page = async (query) => ids(await consumer.management.contractNegotiations.queryAll(query));
    const all = await page({});
    equal(all.length, 2, "the number of all");
    equal(await page({ filterExpression: [criterion("assetId", "=", "drawing")] }), [negotiation.id], "by the asset");
    equal((await page({ filterExpression: [criterion("counterPartyId", "=", told.provider.did)] })).length, 2, "by the partner");
    equal((await page({ filterExpression: [criterion("state", "=", "FINALIZED")] })).length, 2, "by the state");
    equal(await page({ sortField: "createdAt", sortOrder: "ASC", limit: 1 }), [negotiation.id], "the oldest");
    equal((await page({ sortField: "createdAt", sortOrder: "ASC", offset: 1 })).length, 1, "the rest");
  }],
  ["negotiation", "a filter by a field that does not exist", async ({ consumer }) => {
    const filterExpression = [criterion("colour", "=", "red")];
    return refused(() => consumer.management.contractNegotiations.queryAll({ filterExpression }), Kind.BadRequest, "colour");
  }],
  ["negotiation", "terminate one that waits, and both sides know", async (state) => {
    const { consumer, provider, told } = state;
    const negotiations = consumer.management.contractNegotiations;
    const policy = asked(await offerOf(state, "drawing"), told, "drawing", { [`${ODRL}permission`]: [{ [`${ODRL}action`]: [{ "@id": `${ODRL}use` }] }] });
    const { id } = await negotiations.initiate({ ...at(told), policy });
    await reaches(async () => (await negotiations.getState(id)).state, "OFFERED");
    equal(await negotiations.terminate(id, "too expensive"), undefined, "the answer");
    await reaches(async () => (await negotiations.getState(id)).state, "TERMINATED");
    const other = await theirs(provider.management.contractNegotiations, id);
    equal([other.state, value(other, "errorDetail")], ["TERMINATED", "too expensive"], "the provider's side");
  }],
  ["negotiation", "terminate one that is over", async ({ consumer, negotiation }) =>
    refused(() => consumer.management.contractNegotiations.terminate(negotiation.id, "late"), Kind.Duplicate, "FINALIZED")],
];

export const agreement = [
  ["agreement", "of the negotiation, by its id, in a query: one and the same", async ({ consumer, negotiation, told }) => {
    const { contractNegotiations, contractAgreements } = consumer.management;
    const found = await contractNegotiations.getAgreement(negotiation.id);
    equal([found.providerId, found.consumerId, found.assetId], [told.provider.did, told.consumer.did, "drawing"], "the parties");
    holds(found.contractSigningDate > 1.6e9 && found.contractSigningDate < 1e11, `signed at ${found.contractSigningDate} s`);
    equal(found.policy.permissions.length, 1, "the number of permissions");
    equal(await contractAgreements.get(negotiation.contractAgreementId), found, "the agreement by its id");
    const filterExpression = [criterion("assetId", "=", "drawing")];
    equal((await contractAgreements.queryAll({ filterExpression }))[0], found, "the agreement in a query");
  }],
  ["agreement", "the same on the provider's side", async ({ consumer, provider, negotiation }) => {
    const id = negotiation.contractAgreementId;
    const [ours, other] = [await consumer.management.contractAgreements.get(id), await provider.management.contractAgreements.get(id)];
    equal(other.policy, ours.policy, "the policy");
    equal(other.contractSigningDate, ours.contractSigningDate, "the date");
  }],
  ["agreement", "its negotiation", async ({ consumer, negotiation }) => {
    const found = await consumer.management.contractAgreements.getNegotiation(negotiation.contractAgreementId);
    equal(found.id, negotiation.id, "the negotiation");
  }],
  ["agreement", "get of one that is not there", async ({ consumer }) =>
    refused(() => consumer.management.contractAgreements.get("nothing"), Kind.NotFound, "nothing")],
  ["agreement", "sort, offset and limit", async ({ consumer, negotiation }) => {
    const page = async (query) => ids(await consumer.management.contractAgreements.queryAll(query));
    equal((await page({})).length, 2, "the number of all");
    equal(await page({ sortField: "contractSigningDate", sortOrder: "ASC", limit: 1 }), [negotiation.contractAgreementId], "the oldest");
    equal((await page({ offset: 1, limit: 5 })).length, 1, "the rest");
  }],
];

export const transfer = [
  ["transfer", "initiate, to STARTED", async (state) => {
    state.transfer = await started(state, state.negotiation.contractAgreementId);
    const found = await state.consumer.management.transferProcesses.get(state.transfer);
    equal([found.state, found.type, found.assetId], ["STARTED", "CONSUMER", "drawing"], "the transfer");
    equal(found.contractId, state.negotiation.contractAgreementId, "the contract");
    holds(found.correlationId, "there is no correlationId");
  }],
  ["transfer", "the data itself, byte for byte", async (state) => {
    const address = await state.consumer.management.edrs.dataAddress(state.transfer);
    state.access = [value(address, "endpoint"), value(address, "authorization")];
    const { status, bytes } = await fetched(...state.access);
    equal(status, 200, "the status");
    equal(digest(bytes), digest(readFileSync(state.told.file)), "the SHA-256");
    return `${bytes.length} bytes, ${digest(bytes).slice(0, 16)}…`;
  }],
  ["transfer", "under an agreement that is not there", async ({ consumer, told }) => {
    const body = { ...at(told), contractId: "nothing", transferType: "HttpData-PULL" };
    return refused(() => consumer.management.transferProcesses.initiate(body), Kind.NotFound, "nothing");
  }],
  ["transfer", "without a contract", async ({ consumer, told }) => {
    const body = { ...at(told), transferType: "HttpData-PULL" };
    return refused(() => consumer.management.transferProcesses.initiate(body), Kind.BadRequest, "contractId");
  }],
  ["transfer", "get of one that is not there", async ({ consumer }) =>
    refused(() => consumer.management.transferProcesses.get("nothing"), Kind.NotFound, "nothing")],
  ["transfer", "filter, sort, offset and limit", async (state) => {
    const { consumer, transfer, negotiation } = state;
    state.second = await started(state, negotiation.contractAgreementId);
    const page = async (query) => ids(await consumer.management.transferProcesses.queryAll(query));
    equal((await page({})).length, 2, "the number of all");
    equal((await page({ filterExpression: [criterion("contractId", "=", negotiation.contractAgreementId)] })).length, 2, "by the contract");
    equal(await page({ filterExpression: [criterion("state", "=", "STARTED")], sortField: "createdAt", limit: 1 }), [transfer], "the oldest that is started");
    equal(await page({ sortField: "createdAt", sortOrder: "DESC", limit: 1 }), [state.second], "the newest");
    equal((await page({ sortField: "createdAt", offset: 1 })), [state.second], "the rest");
  }],
];

export const edrs = [
  ["EDRs", "query by the agreement, with sort, offset and limit", async ({ consumer, transfer, second, negotiation, told }) => {
    const filterExpression = [criterion("agreementId", "=", negotiation.contractAgreementId)];
    const found = await consumer.management.edrs.request({ filterExpression, sortField: "createdAt", sortOrder: "ASC" });
    equal(found.map((each) => each.transferProcessId), [transfer, second], "the transfers");
    equal([found[0].assetId, found[0].providerId], ["drawing", told.provider.did], "the entry");
    equal(found[0].contractNegotiationId, negotiation.id, "the negotiation");
    const rest = await consumer.management.edrs.request({ sortField: "createdAt", offset: 1, limit: 1 });
    equal(ids(rest), [second], "the second page");
  }],
  ["EDRs", "query without a query", async ({ consumer }) => {
    equal((await consumer.management.edrs.request()).length, 2, "the number of entries");
  }],
  ["EDRs", "a filter by a field that does not exist", async ({ consumer }) => {
    const filterExpression = [criterion("colour", "=", "red")];
    return refused(() => consumer.management.edrs.request({ filterExpression }), Kind.BadRequest, "colour");
  }],
  ["EDRs", "delete", async ({ consumer, second }) => {
    equal(await consumer.management.edrs.delete(second), undefined, "the answer");
    equal((await consumer.management.edrs.request()).length, 1, "the number of entries");
    return refused(() => consumer.management.edrs.dataAddress(second), Kind.NotFound, second);
  }],
];

export const ends = [
  ["end of a transfer", "terminate: both sides know, the token opens nothing", async ({ consumer, provider, transfer, access }) => {
    const transfers = consumer.management.transferProcesses;
    equal(await transfers.terminate(transfer, "enough"), undefined, "the answer");
    await reaches(async () => (await transfers.getState(transfer)).state, "TERMINATED");
    const other = await theirs(provider.management.transferProcesses, transfer);
    equal([other.state, other.errorDetail], ["TERMINATED", "enough"], "the provider's side");
    holds([401, 403].includes((await fetched(...access)).status), "the token still opens the data");
    await refused(() => consumer.management.edrs.dataAddress(transfer), Kind.NotFound, transfer);
  }],
  ["end of a transfer", "terminate one that is over", async ({ consumer, transfer }) =>
    refused(() => consumer.management.transferProcesses.terminate(transfer, "again"), Kind.Duplicate, "TERMINATED")],
  ["end of a transfer", "terminated by the provider", async ({ consumer, provider, second }) => {
    const other = await theirs(provider.management.transferProcesses, second);
    await provider.management.transferProcesses.terminate(other.id, "withdrawn");
    const found = await eventually(async () => {
      const now = await consumer.management.transferProcesses.get(second);
      return { done: now.state === "TERMINATED", value: now };
    }, "the consumer to know");
    equal(found.errorDetail, "withdrawn", "the reason");
  }],
  ["end of a transfer", "deprovision", async ({ consumer, transfer }) => {
    equal(await consumer.management.transferProcesses.deprovision(transfer), undefined, "the answer");
  }],
  ["end of a transfer", "an asset under an agreement is not deleted", async ({ provider }) =>
    refused(() => provider.management.assets.delete("drawing"), Kind.Duplicate, "drawing")],
];
