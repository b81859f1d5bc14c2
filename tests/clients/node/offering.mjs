// What a provider does with v3: assets, policies, contract definitions, secrets, data planes, health; queries and errors.

import { EdcConnectorClientErrorType as Kind, PolicyBuilder, SecretBuilder } from "@think-it-labs/edc-connector-client";
import { equal, holds, refused } from "./checks.mjs";
import { builder } from "./world.mjs";

const ids = (found) => found.map((each) => each.id);
const criterion = (operandLeft, operator, operandRight) => ({ operandLeft, operator, operandRight });
const asset = (told, id, properties = {}) => ({
  ...(id && { "@id": id }),
  properties: { name: `asset ${id}`, contenttype: "application/octet-stream", ...properties },
  dataAddress: { type: "HttpData", baseUrl: `${told.source}/drawing.bin`, name: "the drawing" },
});
const until = (year) => ({
  action: "use",
  constraint: [{ leftOperand: "dateTime", operator: "lteq", rightOperand: `${year}-12-31T00:00:00Z` }],
});
const policy = (permission) => new PolicyBuilder().type("Set").raw({ permission }).build();

export const health = ["checkHealth", "checkLiveness", "checkReadiness", "checkStartup"].map((name) => [
  "health",
  name,
  async ({ provider, consumer }) => {
    for (const client of [provider, consumer]) {
      const found = await client.observability[name]();
      equal(found.isSystemHealthy, true, "isSystemHealthy");
      holds(Array.isArray(found.componentResults), "componentResults is no list");
    }
  },
]);

export const keys = [
  ["key", "a wrong key is refused", async ({ told }) => {
    const stranger = builder(told.provider, "not-the-key").build();
    return refused(() => stranger.management.assets.queryAll(), Kind.Unknown, "key");
  }],
];

export const assets = [
  ["assets", "create answers the id that was asked for, and when", async ({ provider, told }) => {
    const made = await provider.management.assets.create(asset(told, "drawing", { kind: "cad", size: 3 }));
    equal(made.id, "drawing", "the id");
    holds(made.createdAt > 1.6e12, `createdAt is ${made.createdAt}`);
  }],
  ["assets", "create without an id answers a chosen one", async (state) => {
    state.chosen = (await state.provider.management.assets.create(asset(state.told, ""))).id;
    holds(state.chosen, "there is no id");
    return state.chosen;
  }],
  ["assets", "five more", async ({ provider, told }) => {
    for (const n of [1, 2, 3, 4, 5]) {
      const kind = n % 2 ? "odd" : "even";
      await provider.management.assets.create(asset(told, `part-${n}`, { kind, size: n * 10 }));
    }
  }],
  ["assets", "a taken id", async ({ provider, told }) =>
    refused(() => provider.management.assets.create(asset(told, "drawing")), Kind.Duplicate, "drawing")],
  ["assets", "one without a data address", async ({ provider }) =>
    refused(() => provider.management.assets.create({ properties: {} }), Kind.BadRequest, "dataAddress")],
  ["assets", "get", async ({ provider }) => {
    const found = await provider.management.assets.get("drawing");
    equal(found.id, "drawing", "the id");
    equal(found.properties.mandatoryValue("edc", "name"), "asset drawing", "the name");
    equal(found.properties.mandatoryValue("edc", "kind"), "cad", "the kind");
    equal(found.dataAddress.mandatoryValue("edc", "type"), "HttpData", "the data address's type");
    equal(found.types(), ["https://w3id.org/edc/v0.0.1/ns/Asset"], "the type");
  }],
  ["assets", "get of one that is not there", async ({ provider }) =>
    refused(() => provider.management.assets.get("nothing"), Kind.NotFound, "nothing")],
  ["assets", "update", async ({ provider, told }) => {
    const change = asset(told, "drawing", { kind: "cad", revision: "C" });
    change.privateProperties = { shelf: "4" };
    equal(await provider.management.assets.update(change), undefined, "the answer");
    const found = await provider.management.assets.get("drawing");
    equal(found.properties.mandatoryValue("edc", "revision"), "C", "the revision");
    equal(found.privateProperties.mandatoryValue("edc", "shelf"), "4", "the shelf");
  }],
  ["assets", "update of one that is not there", async ({ provider, told }) =>
    refused(() => provider.management.assets.update(asset(told, "nothing")), Kind.NotFound, "nothing")],
  ["assets", "query without a query finds all", async ({ provider }) => {
    equal((await provider.management.assets.queryAll()).length, 7, "the number of assets");
  }],
  ["assets", "filter =", async ({ provider }) => {
    const filterExpression = [criterion("kind", "=", "odd")];
    equal(ids(await provider.management.assets.queryAll({ filterExpression })).sort(), ["part-1", "part-3", "part-5"], "the ids");
  }],
  ["assets", "filter by the id's IRI", async ({ provider }) => {
    const filterExpression = [criterion("https://w3id.org/edc/v0.0.1/ns/id", "=", "part-2")];
    equal(ids(await provider.management.assets.queryAll({ filterExpression })), ["part-2"], "the ids");
  }],
  ["assets", "filter like, in, not in, <", async ({ provider }) => {
    const found = async (...words) =>
      ids(await provider.management.assets.queryAll({ sortField: "id", filterExpression: [criterion(...words)] }));
    equal(await found("id", "like", "part-%"), ["part-1", "part-2", "part-3", "part-4", "part-5"], "like");
    equal(await found("id", "in", ["part-1", "drawing"]), ["drawing", "part-1"], "in");
    equal(await found("kind", "not in", ["odd", "even"]), ["drawing"], "not in");
    equal(await found("size", "<", 30), ["part-1", "part-2"], "<");
  }],
  ["assets", "sort, offset and limit", async ({ provider }) => {
    const page = async (more) =>
      ids(await provider.management.assets.queryAll({ filterExpression: [criterion("id", "like", "part-%")], ...more }));
    equal(await page({ sortField: "id", sortOrder: "DESC", limit: 2 }), ["part-5", "part-4"], "the first page");
    equal(await page({ sortField: "id", sortOrder: "DESC", limit: 2, offset: 2 }), ["part-3", "part-2"], "the second page");
    equal(await page({ sortField: "createdAt", sortOrder: "ASC", limit: 1 }), ["part-1"], "the oldest");
  }],
  ["assets", "an operator that does not exist", async ({ provider }) => {
    const filterExpression = [criterion("id", "resembles", "x")];
    return refused(() => provider.management.assets.queryAll({ filterExpression }), Kind.BadRequest, "operator");
  }],
  ["assets", "delete", async (state) => {
    const { assets } = state.provider.management;
    equal(await assets.delete(state.chosen), undefined, "the answer");
    await refused(() => assets.get(state.chosen), Kind.NotFound, state.chosen);
    return refused(() => assets.delete(state.chosen), Kind.NotFound, state.chosen);
  }],
];

export const policies = [
  ["policies", "create with the client's builder", async ({ provider }) => {
    const made = await provider.management.policyDefinitions.create({ "@id": "until-2035", policy: policy([until(2035)]) });
    equal(made.id, "until-2035", "the id");
  }],
  ["policies", "create three more", async ({ provider }) => {
    for (const n of [1, 2, 3]) {
      await provider.management.policyDefinitions.create({ "@id": `free-${n}`, policy: policy([{ action: "use" }]) });
    }
  }],
  ["policies", "a taken id", async ({ provider }) => {
    const again = { "@id": "until-2035", policy: policy([until(2035)]) };
    return refused(() => provider.management.policyDefinitions.create(again), Kind.Duplicate, "until-2035");
  }],
  ["policies", "a term that cannot be enforced", async ({ provider }) => {
    const rule = { action: "use", constraint: [{ leftOperand: "moonPhase", operator: "eq", rightOperand: "full" }] };
    return refused(() => provider.management.policyDefinitions.create({ policy: policy([rule]) }), Kind.BadRequest, "moonPhase");
  }],
  ["policies", "get", async ({ provider }) => {
    const found = await provider.management.policyDefinitions.get("until-2035");
    equal(found.id, "until-2035", "the id");
    equal(found.policy.permissions.length, 1, "the number of permissions");
    equal(found.policy.permissions[0].array("odrl", "constraint").length, 1, "the number of constraints");
    holds(found.createdAt > 1.6e12, `createdAt is ${found.createdAt}`);
  }],
  ["policies", "get of one that is not there", async ({ provider }) =>
    refused(() => provider.management.policyDefinitions.get("nothing"), Kind.NotFound, "nothing")],
  ["policies", "update", async ({ provider }) => {
    const { policyDefinitions } = provider.management;
    equal(await policyDefinitions.update("free-3", { policy: policy([until(2034)]) }), undefined, "the answer");
    const found = await policyDefinitions.get("free-3");
    equal(found.policy.permissions[0].array("odrl", "constraint").length, 1, "the number of constraints");
  }],
  ["policies", "filter, sort, offset and limit", async ({ provider }) => {
    const page = async (query) => ids(await provider.management.policyDefinitions.queryAll(query));
    equal((await page({})).length, 4, "the number of all");
    equal(await page({ filterExpression: [criterion("id", "=", "free-2")] }), ["free-2"], "the filtered");
    equal(await page({ sortField: "id", sortOrder: "ASC", offset: 1, limit: 2 }), ["free-2", "free-3"], "the page");
    equal(await page({ sortField: "createdAt", sortOrder: "DESC", limit: 1 }), ["free-3"], "the newest");
  }],
  ["policies", "a filter by a field that does not exist", async ({ provider }) => {
    const filterExpression = [criterion("colour", "=", "red")];
    return refused(() => provider.management.policyDefinitions.queryAll({ filterExpression }), Kind.BadRequest, "colour");
  }],
  ["policies", "delete", async ({ provider }) => {
    const { policyDefinitions } = provider.management;
    equal(await policyDefinitions.delete("free-3"), undefined, "the answer");
    return refused(() => policyDefinitions.get("free-3"), Kind.NotFound, "free-3");
  }],
];

const contract = (id, selected, contractPolicyId = "until-2035") => ({
  "@id": id,
  accessPolicyId: "free-1",
  contractPolicyId,
  assetsSelector: [criterion("https://w3id.org/edc/v0.0.1/ns/id", "=", selected)],
});

export const contracts = [
  ["contract definitions", "create", async ({ provider }) => {
    const { contractDefinitions } = provider.management;
    equal((await contractDefinitions.create(contract("for-drawing", "drawing"))).id, "for-drawing", "the id");
    await contractDefinitions.create(contract("for-part-1", "part-1"));
    await contractDefinitions.create(contract("spare", "part-5", "free-2"));
  }],
  ["contract definitions", "a taken id", async ({ provider }) =>
    refused(() => provider.management.contractDefinitions.create(contract("spare", "x")), Kind.Duplicate, "spare")],
  ["contract definitions", "one without policies", async ({ provider }) =>
    refused(() => provider.management.contractDefinitions.create({ assetsSelector: [] }), Kind.BadRequest, "accessPolicyId")],
  ["contract definitions", "get", async ({ provider }) => {
    const found = await provider.management.contractDefinitions.get("for-drawing");
    equal([found.accessPolicyId, found.contractPolicyId], ["free-1", "until-2035"], "the policies");
    equal(found.assetsSelector.map((each) => [each.operandLeft, each.operator, each.operandRight]),
      [["https://w3id.org/edc/v0.0.1/ns/id", "=", "drawing"]], "the selector");
  }],
  ["contract definitions", "get of one that is not there", async ({ provider }) =>
    refused(() => provider.management.contractDefinitions.get("nothing"), Kind.NotFound, "nothing")],
  ["contract definitions", "update", async ({ provider }) => {
    const { contractDefinitions } = provider.management;
    equal(await contractDefinitions.update(contract("spare", "part-4", "until-2035")), undefined, "the answer");
    equal((await contractDefinitions.get("spare")).contractPolicyId, "until-2035", "the policy");
  }],
  ["contract definitions", "filter, sort, offset and limit", async ({ provider }) => {
    const page = async (query) => ids(await provider.management.contractDefinitions.queryAll(query));
    equal((await page({})).length, 3, "the number of all");
    equal((await page({ filterExpression: [criterion("contractPolicyId", "=", "until-2035")] })).length, 3, "the filtered");
    equal(await page({ sortField: "id", sortOrder: "DESC", offset: 1, limit: 1 }), ["for-part-1"], "the page");
  }],
  ["contract definitions", "a policy in use is not deleted", async ({ provider }) =>
    refused(() => provider.management.policyDefinitions.delete("until-2035"), Kind.Duplicate, "until-2035")],
  ["contract definitions", "delete", async ({ provider }) => {
    const { contractDefinitions } = provider.management;
    equal(await contractDefinitions.delete("spare"), undefined, "the answer");
    return refused(() => contractDefinitions.get("spare"), Kind.NotFound, "spare");
  }],
];

const secret = (id, value) => new SecretBuilder().id(id).value(value).build();

export const secrets = [
  ["secrets", "create, get, update", async ({ provider }) => {
    const { secrets } = provider.management;
    await secrets.create(secret("back-end", "one"));
    equal((await secrets.get("back-end")).id, "back-end", "the id");
    equal(await secrets.update(secret("back-end", "two")), undefined, "the answer");
    equal((await secrets.get("back-end")).value, "two", "the value");
  }],
  ["secrets", "a taken id", async ({ provider }) =>
    refused(() => provider.management.secrets.create(secret("back-end", "x")), Kind.Duplicate, "back-end")],
  ["secrets", "get, update of one that is not there", async ({ provider }) => {
    await refused(() => provider.management.secrets.update(secret("nothing", "x")), Kind.NotFound, "nothing");
    return refused(() => provider.management.secrets.get("nothing"), Kind.NotFound, "nothing");
  }],
  ["secrets", "delete", async ({ provider }) => {
    equal(await provider.management.secrets.delete("back-end"), undefined, "the answer");
    return refused(() => provider.management.secrets.get("back-end"), Kind.NotFound, "back-end");
  }],
];

export const dataplanes = [
  ["data planes", "list", async ({ provider }) => {
    const found = await provider.management.dataplanes.list();
    holds(found.length >= 1, "there is none");
    holds(found[0].allowedTransferTypes.includes("HttpData-PULL"), "HttpData-PULL is not among its transfer types");
    return `${found[0].id}: ${found[0].allowedTransferTypes}`;
  }],
];
