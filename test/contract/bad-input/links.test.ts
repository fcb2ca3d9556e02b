/** Links of S3 that try to be paths: refused where they are given, or found to lead to nothing where they are followed. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { plantImage } from "../../../src/image/plant-image.ts";
import { everything, plantThings, xname } from "../support/planted.ts";
import { assertProblem, openServed, type Served } from "../support/served.ts";

let served: Served;
const image = "0f8fad5b-d9cb-469f-a165-70867728950e";
/** Such as it is, its one file is there. */
const good = `s3://boot-images/${image}/rootfs`;
const empty = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

before(async () => {
  served = await openServed();
  await plantThings(served);
  await served.house.images.publish(plantImage(image, "base"));
});
after(() => served.close());

const headers = { "content-type": "application/json" };

/** None of these could be the name of a file of anybody. */
const tricks = [
  ...["s3://", "s3://boot-images", "s3://boot-images/", "s3:///", "s3:boot-images/a/kernel"],
  ...["s3://../etc/passwd", "s3://%2e%2e/etc/passwd", "s3://./boot-images/a/kernel", "s3://-/a", "s3://a:b@c/d"],
  ...["s3://boot-images/../ims/a", "s3://boot-images/%2e%2e/ims/a", "s3://boot-images/%2E./a", "s3://boot-images/./a"],
  ...["s3://boot-images/..%2f..%2fetc%2fpasswd", "s3://boot-images/..\\..\\etc", "s3://boot-images/..%5c..%5cetc"],
  ...["s3://boot-images//etc/passwd", "s3://boot-images/%2fetc/passwd", `s3://boot-images/${image}//kernel`],
  ...[`s3://boot-images/${image}/kernel/`, `s3://boot-images/${image}/../${image}/kernel`],
  ...[
    `s3://boot-images/${image}/kernel\u0000`,
    `s3://boot-images/${image}\n/kernel`,
    "s3://boot-images/a\u0085/kernel",
  ],
  ...[`s3://boot-images/${image}%00/kernel`, `s3://boot-images/${image}/kernel%0a`],
];

/** These could be, but nothing of that name is kept. */
const nowhere = [
  ...[`s3://boot-images/${image}/passwd`, `s3://boot-images/${image}/constructor`, `s3://boot-images/${empty}/kernel`],
  ...[`s3://boot-images/${image}/%6bernel`, `s3://boot-images/kernel`, `s3://ims/${image}/kernel`],
  ...[`s3://ims/recipes/${image}/recipe.tar.gz`, `s3://boot-images/deleted/${image}/kernel`],
];

/** Of what stands in a bucket of somebody else's nothing is known: IMS keeps the link, and no node is sent there. */
const elsewhere = [`s3://other/${image}/kernel`, `s3://boot-images.other/${image}/kernel`];

test("a record of IMS gets no link that leads nowhere", async () => {
  const before = await everything(served);
  const recipe = { recipe_type: "kiwi-ng", linux_distribution: "sles15" };
  const { json: images } = await served.ask("GET", "/apis/ims/v3/images");
  const { json: recipes } = await served.ask("GET", "/apis/ims/v3/recipes");
  const unlinked = images.find(({ name }: { name: string }) => name === "compute").id as string;
  for (const path of [...tricks, ...nowhere]) {
    const link = { path, type: "s3", etag: "" };
    for (const [method, place, body] of [
      ["POST", "/apis/ims/v3/images", { name: "l", link }],
      ["POST", "/apis/ims/v2/images", { name: "l", link }],
      ["POST", "/apis/ims/v3/recipes", { name: "l", ...recipe, link }],
      ["PATCH", `/apis/ims/v3/images/${unlinked}`, { link }],
      ["PATCH", `/apis/ims/v3/recipes/${recipes[0].id}`, { link }],
    ] as const) {
      const answer = await served.ask(method, place, { body, headers });
      assertProblem(answer, 422, `${method} ${place} with ${path}`);
      assert.ok(answer.json.errors.link[0].length > 0, path);
    }
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("a node gets no kernel and no initrd by a link that is a trick", async () => {
  const before = await everything(served);
  for (const base of ["/boot/v1", "/apis/bss/boot/v1"]) {
    for (const link of tricks) {
      for (const [method, body] of [
        ["PUT", { hosts: [xname], kernel: link, initrd: good }],
        ["PUT", { hosts: ["x9c0s0b0n0"], kernel: good, initrd: link }],
        ["POST", { hosts: ["x9c0s0b0n0"], kernel: link }],
        ["PATCH", { hosts: [xname], initrd: link }],
      ] as const) {
        const answer = await served.ask(method, `${base}/bootparameters`, { body, headers });
        assertProblem(answer, 400, `${method} ${base} with ${JSON.stringify(body)}`);
      }
    }
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("what a link leads nowhere for is no boot script", async () => {
  for (const link of [...nowhere, ...elsewhere]) {
    for (const body of [{ kernel: link }, { kernel: good, initrd: link }]) {
      const put = await served.ask("PUT", "/boot/v1/bootparameters", { body: { hosts: [xname], ...body }, headers });
      assert.equal(put.status, 200, `${link}: it may be there tomorrow`);
      const answer = await served.ask("GET", `/boot/v1/bootscript?name=${xname}`);
      assertProblem(answer, 404, link);
      assert.ok(answer.json.detail.includes(link), answer.json.detail);
    }
  }
  const link = `s3:///boot-images/${image}/rootfs`;
  await served.ask("PUT", "/boot/v1/bootparameters", { body: { hosts: [xname], kernel: link }, headers });
  assert.equal((await served.ask("GET", `/boot/v1/bootscript?name=${xname}`)).status, 200, "three slashes are two");
});
