/** `cray`: JSON with its type, also in the body of a GET; what it prints of a failure is `title: detail`. */
import { after, before, test } from "node:test";
import { plantImage } from "../../../src/image/plant-image.ts";
import { openServed, type Served } from "../support/served.ts";
import { crayHeaders, replay } from "./calls.ts";
import { bos, cfs } from "./tables/cray-boot.ts";
import { bss, power } from "./tables/cray-bss.ts";
import { hsm, hsmMore, locks } from "./tables/cray-hsm.ts";
import { imageId } from "./tables/cray-ims.ts";

let served: Served;
before(async () => {
  served = await openServed();
  await served.house.images.publish(plantImage(imageId, "base"));
});
after(() => served.close());

for (const [what, calls] of Object.entries({ hsm, hsmMore, cfs, bos, bss, power, locks })) {
  test(`cray: ${what}`, async () => replay(served, calls, crayHeaders));
}
