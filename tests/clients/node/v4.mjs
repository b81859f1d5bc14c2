// The whole exchange with API v4: node v4.mjs <world.json>
//
// This client has no v4 of its own. It is extended as its README says, by a controller (`Builder.use`): addressing, key,
// requests and errors are the client's. It cannot read v4's answers as entities, since it has no copy of v4's context.

import { EdcConnectorClientErrorType as Kind, EdcController } from "@think-it-labs/edc-connector-client";
import { readFileSync } from "node:fs";
import { equal, eventually, holds, reaches, refused, run } from "./checks.mjs";
import { builder, digest, fetched, world } from "./world.mjs";

const CONTEXT = "https://w3id.org/edc/connector/management/v2";
const ID = "https://w3id.org/edc/v0.0.1/ns/id";
const PROTOCOL = "dataspace-protocol-http:2025-1";

class V4 extends EdcController {
  #request(method, path, body) {
    return this.inner.request(this.context.management, { path: `/v4/${path}`, method, apiToken: this.context.apiToken, body });
  }
  get = (path) => this.#request("GET", path);
  delete = (path) => this.#request("DELETE", path);
  post = (path, type, body) => this.#request("POST", path, { "@context": [CONTEXT], "@type": type, ...body });
  put = (path, type, body) => this.#request("PUT", path, { "@context": [CONTEXT], "@type": type, ...body });
  find = (path, criteria = [], more = {}) =>
    this.post(`${path}/request`, "QuerySpec", { filterExpression: criteria, ...more });
}

const criterion = (operandLeft, operator, operandRight) => ({ "@type": "Criterion", operandLeft, operator, operandRight });
const ids = (found) => found.map((each) => each["@id"]);
const at = (told) => ({ counterPartyId: told.provider.did, counterPartyAddress: told.provider.dsp, protocol: PROTOCOL });
const constraint = { leftOperand: "dateTime", operator: "lteq", rightOperand: "2035-12-31T00:00:00Z" };
const rule = { action: "use", constraint: [constraint] };
const asset = (told, id, properties = {}) => ({
  "@id": id,
  properties: { name: `asset ${id}`, ...properties },
  dataAddress: { "@type": "DataAddress", type: "HttpData", baseUrl: `${told.source}/drawing.bin` },
});
const stated = (client, path) => async () => (await client.v4.get(`${path}/state`)).state;

async function offered({ consumer, told }, assetId) {
  const found = await consumer.v4.post("catalog/dataset/request", "DatasetRequest", { "@id": assetId, ...at(told) });
  const offer = [found.hasPolicy].flat()[0];
  return { ...offer, "@type": "Offer", assigner: told.provider.did, target: assetId };
}

const offering = [
  ["health", "checkHealth", async ({ provider }) => {
    equal((await provider.observability.checkHealth()).isSystemHealthy, true, "isSystemHealthy");
  }],
  ["version", "one that does not exist", async ({ provider }) =>
    refused(() => provider.v4.get("../v9/assets/x"), Kind.NotFound, "v9")],
  ["assets", "create and get, with v4's context", async ({ provider, told }) => {
    const made = await provider.v4.post("assets", "Asset", asset(told, "drawing", { kind: "cad" }));
    equal([made["@type"], made["@id"]], ["IdResponse", "drawing"], "the answer");
    const found = await provider.v4.get("assets/drawing");
    equal(found["@context"], [CONTEXT], "the context");
    equal([found["@type"], found.properties.kind], ["Asset", "cad"], "the asset");
  }],
  ["assets", "update, three more", async ({ provider, told }) => {
    equal(await provider.v4.put("assets", "Asset", asset(told, "drawing", { kind: "cad", revision: "C" })), undefined, "the answer");
    for (const n of [1, 2, 3]) await provider.v4.post("assets", "Asset", asset(told, `part-${n}`));
  }],
  ["assets", "filter, sort, offset and limit", async ({ provider }) => {
    equal(ids(await provider.v4.find("assets", [criterion(ID, "=", "part-2")])), ["part-2"], "by the id's IRI");
    const like = [criterion("id", "like", "part-%")];
    const page = await provider.v4.find("assets", like, { sortField: "id", sortOrder: "DESC", offset: 1, limit: 1 });
    equal(ids(page), ["part-2"], "the page");
  }],
  ["assets", "errors", async ({ provider, told }) => {
    await refused(() => provider.v4.post("assets", "Asset", asset(told, "drawing")), Kind.Duplicate, "drawing");
    await refused(() => provider.v4.get("assets/nothing"), Kind.NotFound, "nothing");
    return refused(() => provider.v4.find("assets", [criterion("id", "resembles", "x")]), Kind.BadRequest, "operator");
  }],
  ["assets", "a body that does not say what it is", async ({ provider, told }) => {
    await refused(() => provider.v4.post("assets", undefined, asset(told, "x")), Kind.BadRequest, "@type");
    const bare = { "@context": { "@vocab": "https://w3id.org/edc/v0.0.1/ns/" } };
    await refused(() => provider.v4.post("assets", "Asset", { ...asset(told, "x"), ...bare }), Kind.BadRequest, "@context");
    const untyped = { operandLeft: "id", operator: "=", operandRight: "x" };
    return refused(() => provider.v4.find("assets", [untyped]), Kind.BadRequest, "@type");
  }],
  ["assets", "delete", async ({ provider }) => {
    equal(await provider.v4.delete("assets/part-3"), undefined, "the answer");
    return refused(() => provider.v4.get("assets/part-3"), Kind.NotFound, "part-3");
  }],
  ["policies", "create, update, query, delete", async ({ provider }) => {
    const policy = (permission) => ({ policy: { "@type": "Set", permission: [permission] } });
    await provider.v4.post("policydefinitions", "PolicyDefinition", { "@id": "until-2035", ...policy(rule) });
    for (const id of ["free", "spare"]) {
      await provider.v4.post("policydefinitions", "PolicyDefinition", { "@id": id, ...policy({ action: "use" }) });
    }
    equal(await provider.v4.put("policydefinitions/spare", "PolicyDefinition", policy(rule)), undefined, "the answer");
    equal((await provider.v4.get("policydefinitions/spare")).policy.permission[0].constraint.length, 1, "the constraints");
    equal(ids(await provider.v4.find("policydefinitions", [], { sortField: "id", offset: 1, limit: 1 })), ["spare"], "the page");
    equal(await provider.v4.delete("policydefinitions/spare"), undefined, "the answer");
  }],
  ["policies", "validate, evaluation plan", async ({ provider }) => {
    equal((await provider.v4.post("policydefinitions/until-2035/validate")).isValid, true, "isValid");
    const scope = { policyScope: "contract.negotiation" };
    const plan = await provider.v4.post("policydefinitions/until-2035/evaluationplan", "PolicyEvaluationPlanRequest", scope);
    equal(plan["@type"], "PolicyEvaluationPlan", "the type");
  }],
  ["data planes", "list", async ({ provider }) => {
    holds((await provider.v4.get("dataplanes")).length >= 1, "there is none");
  }],
  ["contract definitions", "create, query, delete", async ({ provider }) => {
    for (const id of ["drawing", "part-1"]) {
      await provider.v4.post("contractdefinitions", "ContractDefinition", {
        "@id": `for-${id}`, accessPolicyId: "free", contractPolicyId: "until-2035", assetsSelector: [criterion(ID, "=", id)],
      });
    }
    const found = await provider.v4.find("contractdefinitions", [criterion("accessPolicyId", "=", "free")], { sortField: "id", sortOrder: "DESC", limit: 1 });
    equal(ids(found), ["for-part-1"], "the page");
    equal(await provider.v4.delete("contractdefinitions/for-part-1"), undefined, "the answer");
  }],
];

const consuming = [
  ["catalog", "request, with a filter", async ({ consumer, told }) => {
    const found = await consumer.v4.post("catalog/request", "CatalogRequest", at(told));
    equal(ids(found.dataset), ["drawing"], "the datasets");
    const querySpec = { "@type": "QuerySpec", filterExpression: [criterion(ID, "=", "nothing")] };
    equal((await consumer.v4.post("catalog/request", "CatalogRequest", { ...at(told), querySpec })).dataset, [], "the filtered");
  }],
  ["catalog", "those of all partners", async ({ consumer, told }) => {
    const found = await consumer.v4.find("catalogs");
    equal(found.map((each) => each.participantId), [told.provider.did], "the participants");
  }],
  ["negotiation", "request, to FINALIZED", async (state) => {
    const { consumer, told } = state;
    const policy = await offered(state, "drawing");
    const { "@id": id } = await consumer.v4.post("contractnegotiations", "ContractRequest", { ...at(told), policy });
    await reaches(stated(consumer, `contractnegotiations/${id}`), "FINALIZED");
    state.negotiation = await consumer.v4.get(`contractnegotiations/${id}`);
    const found = await consumer.v4.find("contractnegotiations", [criterion("assetId", "=", "drawing")], { sortField: "createdAt", limit: 5 });
    equal(ids(found), [id], "the filtered");
  }],
  ["negotiation", "terminate one that waits", async (state) => {
    const { consumer, provider, told } = state;
    const policy = { ...(await offered(state, "drawing")), permission: [{ action: "use" }] };
    const { "@id": id } = await consumer.v4.post("contractnegotiations", "ContractRequest", { ...at(told), policy });
    const path = `contractnegotiations/${id}`;
    await reaches(stated(consumer, path), "OFFERED");
    equal(await consumer.v4.post(`${path}/terminate`, "TerminateNegotiation", { reason: "too expensive" }), undefined, "the answer");
    await reaches(stated(consumer, path), "TERMINATED");
    const [theirs] = await provider.v4.find("contractnegotiations", [criterion("correlationId", "=", id)]);
    equal([theirs.state, theirs.errorDetail], ["TERMINATED", "too expensive"], "the provider's side");
    state.ended = id;
  }],
  ["negotiation", "delete one that is over, but none with an agreement", async ({ consumer, ended, negotiation }) => {
    equal(await consumer.v4.delete(`contractnegotiations/${ended}`), undefined, "the answer");
    await refused(() => consumer.v4.get(`contractnegotiations/${ended}`), Kind.NotFound, ended);
    return refused(() => consumer.v4.delete(`contractnegotiations/${negotiation["@id"]}`), Kind.Duplicate, "");
  }],
  ["agreement", "of the negotiation, by its id, in a query", async ({ consumer, provider, negotiation, told }) => {
    const id = negotiation.contractAgreementId;
    const found = await consumer.v4.get(`contractagreements/${id}`);
    equal([found.providerId, found.consumerId, found.assetId], [told.provider.did, told.consumer.did, "drawing"], "the parties");
    equal(await consumer.v4.get(`contractnegotiations/${negotiation["@id"]}/agreement`), found, "that of the negotiation");
    equal(ids(await consumer.v4.find("contractagreements", [criterion("assetId", "=", "drawing")])), [id], "the filtered");
    equal((await provider.v4.get(`contractagreements/${id}`)).policy, found.policy, "the provider's policy");
    equal((await consumer.v4.get(`contractagreements/${id}/negotiation`))["@id"], negotiation["@id"], "the negotiation");
  }],
  ["transfer", "request, to STARTED, the data itself, byte for byte", async (state) => {
    const { consumer, told, negotiation } = state;
    const body = { ...at(told), contractId: negotiation.contractAgreementId, transferType: "HttpData-PULL" };
    const { "@id": id } = await consumer.v4.post("transferprocesses", "TransferRequest", body);
    state.transfer = `transferprocesses/${id}`;
    await reaches(stated(consumer, state.transfer), "STARTED");
    equal(ids(await consumer.v4.find("transferprocesses", [criterion("state", "=", "STARTED")], { limit: 1 })), [id], "the filtered");
    const address = await consumer.management.edrs.dataAddress(id);
    state.access = ["endpoint", "authorization"].map((name) => address.mandatoryValue("edc", name));
    const { bytes } = await fetched(...state.access);
    equal(digest(bytes), digest(readFileSync(told.file)), "the SHA-256");
    return `${bytes.length} bytes`;
  }],
  ["transfer", "suspend and resume", async ({ consumer, transfer }) => {
    equal(await consumer.v4.post(`${transfer}/suspend`, "SuspendTransfer", { reason: "a break" }), undefined, "the answer");
    await reaches(stated(consumer, transfer), "SUSPENDED");
    equal(await consumer.v4.post(`${transfer}/resume`, "ResumeTransfer", {}), undefined, "the answer");
    await reaches(stated(consumer, transfer), "STARTED");
  }],
  ["transfer", "terminate: the token opens nothing", async ({ consumer, transfer, access }) => {
    equal(await consumer.v4.post(`${transfer}/terminate`, "TerminateTransfer", { reason: "enough" }), undefined, "the answer");
    await reaches(stated(consumer, transfer), "TERMINATED");
    await eventually(async () => {
      const { status } = await fetched(...access);
      return { done: [401, 403].includes(status), value: status };
    }, "the token to open nothing");
    return refused(() => consumer.v4.post(`${transfer}/terminate`, "TerminateTransfer", { reason: "again" }), Kind.Duplicate, "TERMINATED");
  }],
  ["secrets", "create, get, update, delete", async ({ provider }) => {
    await provider.v4.post("secrets", "Secret", { "@id": "back-end", value: "one" });
    equal((await provider.v4.get("secrets/back-end"))["@id"], "back-end", "the id");
    equal(await provider.v4.put("secrets", "Secret", { "@id": "back-end", value: "two" }), undefined, "the answer");
    equal(await provider.v4.delete("secrets/back-end"), undefined, "the answer");
  }],
];

const state = world(process.argv[2]);
for (const name of ["provider", "consumer"]) state[name] = builder(state.told[name]).use("v4", V4).build();
process.exit((await run([...offering, ...consuming], state)) ? 1 : 0);
