// The whole exchange with API v3, which is the one this client speaks: node v3.mjs <world.json>

import { run } from "./checks.mjs";
import * as consuming from "./consuming.mjs";
import * as offering from "./offering.mjs";
import { world } from "./world.mjs";

const table = [
  ...offering.health, ...offering.keys, ...offering.assets, ...offering.policies, ...offering.contracts,
  ...offering.secrets, ...offering.dataplanes,
  ...consuming.catalog, ...consuming.negotiation, ...consuming.agreement, ...consuming.transfer, ...consuming.edrs,
  ...consuming.ends,
];

process.exit((await run(table, world(process.argv[2]))) ? 1 : 0);
