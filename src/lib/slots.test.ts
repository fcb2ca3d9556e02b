import assert from "node:assert/strict";
import { test } from "node:test";
import { Slots } from "./slots.ts";

test("no more than so many work at a time, in order, and a failure frees its slot", async () => {
  const slots = new Slots(2);
  const started: number[] = [];
  let working = 0;
  let most = 0;
  const results = await Promise.allSettled(
    [0, 1, 2, 3, 4].map((number) =>
      slots.run(async () => {
        started.push(number);
        most = Math.max(most, (working += 1));
        await new Promise((resolve) => setImmediate(resolve));
        working -= 1;
        if (number === 1) throw new Error("no");
        return number;
      }),
    ),
  );
  assert.deepEqual(started, [0, 1, 2, 3, 4]);
  assert.equal(most, 2);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"],
  );
});

test("others have their turn between pieces of work that never wait", async () => {
  const slots = new Slots(1);
  let done = 0;
  const all = Promise.all(Array.from({ length: 10 }, () => slots.run(async () => void (done += 1))));
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(done < 10, `${done} were done in one turn`);
  await all;
});
