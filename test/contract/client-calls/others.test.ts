/** Programs beside the command lines: reporters on nodes, Slurm, the agent of SBPS, and OpenCHAMI's tool of old. */
import { after, before, test } from "node:test";
import { plantImage } from "../../../src/image/plant-image.ts";
import { openServed, type Served } from "../support/served.ts";
import { replay } from "./calls.ts";
import { imageId } from "./tables/cray-ims.ts";
import { others } from "./tables/others.ts";

let served: Served;
const json = { "content-type": "application/json" };

before(async () => {
  served = await openServed();
  await served.house.images.publish(plantImage(imageId, "base"));
});
after(() => served.close());

test("reporters, Slurm, SBPS and ochami-cli", async () => replay(served, others, json));
