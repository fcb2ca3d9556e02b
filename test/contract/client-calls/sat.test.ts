/** `sat` and csm-api-client: JSON bodies with their type; the answer to every POST, PUT and PATCH is read as JSON. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { plantImage } from "../../../src/image/plant-image.ts";
import { plantRecipe } from "../support/stand-in.ts";
import { openServed, type Served } from "../support/served.ts";
import { replay } from "./calls.ts";
import { imageId } from "./tables/cray-ims.ts";
import { bootprep, inventory, power, session } from "./tables/sat.ts";

let served: Served;
const headers = { "content-type": "application/json", accept: "*/*", "user-agent": "python-requests/2.31.0" };
before(async () => {
  served = await openServed({ sat: { repositories: {} } });
  await served.house.images.publish(plantImage(imageId, "base"));
  await plantRecipe(served.house, "r");
});
after(() => served.close());

for (const [what, calls] of Object.entries({ inventory, bootprep, power })) {
  test(`sat: ${what}`, async () => replay(served, calls, headers));
}

test("sat reads when a session began without fraction and zone, and whether it succeeded as a text", async () => {
  // Of the answer to POST, as the server begins with it at once.
  const body = { name: `${session}-2`, configuration_name: "compute" };
  const { json } = await served.ask("POST", "/apis/cfs/v3/sessions", { headers, body });
  const { start_time, succeeded } = json.status.session;
  assert.match(start_time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  assert.equal(succeeded, "none");
});
