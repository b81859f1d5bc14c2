// The two connectors of a run, as `run.py` describes them, each with an unchanged client; and bytes to compare.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { EdcConnectorClient } from "@think-it-labs/edc-connector-client";


export function world(path) {
  const told = JSON.parse(readFileSync(path, "utf8"));
  const made = { told, version: EdcConnectorClient.version() };
  for (const name of ["provider", "consumer"]) {
    made[name] = builder(told[name]).build();
    made[name].side = told[name];
  }
  return made;
}

export function builder(side, key = side.key) {
  return new EdcConnectorClient.Builder()
    .apiToken(key)
    .managementUrl(side.management)
    .defaultUrl(side.checks)
    .protocolUrl(side.dsp);
}

export function digest(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

// Fetch as any program would, with what the data address says.
export async function fetched(endpoint, authorization) {
  const answer = await fetch(endpoint, { headers: { Authorization: authorization } });
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
}
