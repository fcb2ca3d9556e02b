import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations as nodeMigrations, openNodeStore, parseNode } from "../node/index.ts";
import { prepareScripts } from "./prepare.ts";
import { openBootScripts, type ScriptAsk } from "./scripts.ts";
import { openBootEntries } from "./store.ts";
import { migrations } from "./tables.ts";

const [first, second, third] = ["x1000c0s0b0n0", "x1000c0s1b0n0", "x1000c0s2b0n0"] as const;
const mac = "52:54:00:00:00:01";
const path = "/boot/v1/bootscript" as const;
const asks: readonly ScriptAsk[] = [
  ...[first, second, third, "nid000001", "stranger"].map((name) => ({ asked: { name }, path })),
  { asked: { mac, arch: "x86_64" }, path },
  { asked: { mac }, path: "/apis/bss/boot/v1/bootscript" },
  { asked: { nid: 2 }, path },
];

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...migrations });
  const nodes = openNodeStore(db);
  await nodes.put(parseNode({ xname: first, nid: 1, interfaces: [{ mac }] }));
  await nodes.put(parseNode({ xname: second, nid: 2, kernelParameters: "own=1" }));
  await nodes.put(parseNode({ xname: third, nid: 3, enabled: false }));
  const entries = openBootEntries(db);
  const boots = (hosts: string[], kernel: string) =>
    entries.put({ hosts, macs: [], nids: [] }, { kernel, initrd: "", params: "quiet", cloudInit: undefined });
  await boots(["Default"], "http://k/all");
  await boots([first], "http://k/first");
  let looked = 0;
  const findImage = async () => {
    looked += 1;
    return undefined;
  };
  return { boots, looked: () => looked, openScripts: () => openBootScripts({ db, findImage }) };
}

async function printed(scripts: ReturnType<typeof openBootScripts>): Promise<string[]> {
  const found = await Promise.all(asks.map((ask) => scripts.find(ask)));
  return found.map(({ because, print }) => `${because}\n${print({ door: "door:1", retry: 0, bootId: "b" })}`);
}

test("scripts that were prepared are those that are found without, and change with what they are made of", async () => {
  const { boots, looked, openScripts } = await open();
  const scripts = openScripts();
  const prepareAll = () => {
    const lasts: string[] = [];
    for (let last: string | undefined = ""; (last = scripts.prepare(last, 2)) !== undefined;) lasts.push(last);
    return lasts;
  };
  assert.deepEqual(prepareAll(), [second, third]);
  const before = await printed(scripts);
  assert.deepEqual(before, await printed(openScripts()));
  assert.match(before[1] ?? "", /http:\/\/k\/all quiet own=1 /);
  const revision = scripts.revision();
  await boots([second], "s3://boot-images/none/kernel");
  assert.notEqual(scripts.revision(), revision);
  prepareAll();
  assert.equal(looked(), 1, "the image is looked for before a node asks");
  const after = await printed(scripts);
  assert.equal(looked(), 1);
  assert.deepEqual(after, await printed(openScripts()));
  assert.match(after[1] ?? "", /but s3:\S+ leads to nothing/);
});

test("scripts are prepared once for each change, and not while one follows the other", async () => {
  // At each look; the third 3 and what follows it are seen while the scripts of 3 are prepared.
  const revisions = [1, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4];
  const ended = new AbortController();
  const done: string[] = [];
  const scripts = {
    revision: () => {
      if (revisions.length === 1) ended.abort();
      return (revisions.length > 1 ? revisions.shift() : revisions[0]) as number;
    },
    prepare: (after: string) => {
      done.push(after);
      return after.length < 2 ? `${after}n` : undefined;
    },
  };
  const restore = useClock({ sleep: async () => {} });
  try {
    await prepareScripts(scripts, ended.signal);
  } finally {
    restore();
  }
  assert.deepEqual(done, ["", "n", "", "n", "nn"]);
});
