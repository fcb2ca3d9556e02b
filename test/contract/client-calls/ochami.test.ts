/** `ochami`: no content type with any body, `User-Agent: ochami/…`; any 2xx is success, and what comes is read as JSON. */
import { after, before, test } from "node:test";
import { openServed, type Served } from "../support/served.ts";
import { replay } from "./calls.ts";
import { bss, cloudInit, pcs } from "./tables/ochami-boot.ts";
import { discovery, removal, smd } from "./tables/ochami-smd.ts";

let served: Served;
before(async () => {
  served = await openServed({ open_reads: true });
});
after(() => served.close());
const headers = { "user-agent": "ochami/0.7.2" };

for (const [what, calls] of Object.entries({ discovery, smd, bss, cloudInit, pcs, removal })) {
  test(`ochami: ${what}`, async () => replay(served, calls, headers));
}

test("ochami reads without a token what its source sends none with", async () => {
  const bare = { ...served, ask: served.askAt.bind(undefined, served.admin) };
  const sendsNone = [
    ...["State/Components", "Inventory/EthernetInterfaces", "service/ready", "service/values"].map(
      (one) => `/hsm/v2/${one}`,
    ),
    ...["hosts", "endpoint-history", "service/status", "service/version", "service/status/all"].map(
      (one) => `/boot/v1/${one}`,
    ),
    ...["/health", "/cloud-init/version", "/cloud-init/openapi.json"],
  ];
  const calls = sendsNone.map((path) => ({ command: path, sends: `GET ${path}`, status: 200 }));
  await replay(bare, calls, headers);
});
