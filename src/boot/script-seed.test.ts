import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../node/index.ts";
import { bootScript } from "./script.ts";
import type { BootEntry } from "./types.ts";

const node = { xname: "x1c0s0b0n0", nid: 1, kernelParameters: "", interfaces: [] } as unknown as Node;

function wordsOf(params: string, token: string | undefined): string[] {
  const entry: BootEntry = {
    ...{ kind: "host", name: node.xname, kernel: "http://s/kernel", initrd: "", referralToken: "r" },
    ...{ params, cloudInit: undefined },
  };
  const query = { door: "10.1.0.254:8077", asked: { name: node.xname }, retry: 0, bootId: "b" };
  return bootScript({ ...query, node, entry, token }).split(" ");
}

test("a script sends cloud-init to the door, with a token where the node needs one", () => {
  assert.ok(wordsOf("quiet", undefined).includes("ds=nocloud-net;s=http://10.1.0.254:8077/"));
  assert.ok(wordsOf("quiet", "t-1").includes("ds=nocloud-net;s=http://10.1.0.254:8077/boots/t-1/"));
});

test("an operator's own ds stays as it is, but for the place of the token", () => {
  const ds = "ds=nocloud-net;s=http://gw/cloud-init/";
  assert.deepEqual(
    wordsOf(ds, "t-1").filter((word) => word.startsWith("ds=")),
    [ds],
  );
  const seeded = `${ds}\${NETKILN_SEED}`;
  assert.ok(wordsOf(seeded, "t-1").includes(`${ds}boots/t-1/`));
  assert.ok(wordsOf(seeded, undefined).includes(ds));
});
