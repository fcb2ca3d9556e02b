import assert from "node:assert/strict";
import { test } from "node:test";
import { run, talk } from "./exec.ts";

test("a program that is talked to answers line by line, and ends with its input", async () => {
  const program = talk(["cat"]);
  assert.equal(await program.ask("one"), "one");
  assert.equal(await program.ask("two"), "two");
  await program.end();
});

test("one that ends instead of answering is told with what it printed", async () => {
  const program = talk(["/bin/sh", "-c", "read -r line; echo oops >&2; exit 3"], { name: "the program" });
  await assert.rejects(program.ask("x"), {
    code: "work_failed",
    message: "the program ended with 3 instead of answering",
    output: ["oops"],
  });
  await program.end();
});

test("one that is not there is told", async () => {
  const program = talk(["/no/such/program"]);
  await assert.rejects(program.ask("x"), { code: "work_failed", message: /ended with 127 instead of answering/ });
  await program.end();
});

test("one that is stopped is gone when its end was waited for", async () => {
  const stop = new AbortController();
  const program = talk(["/bin/sh", "-c", "read -r line; echo $$; exec sleep 60"], { signal: stop.signal });
  const pid = Number(await program.ask("who are you?"));
  stop.abort();
  await program.end();
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});

test("a program that prints more than it may is ended", async () => {
  const endless = run(["/bin/sh", "-c", "exec yes >&2"], { name: "yes", okExitCodes: "any" });
  await assert.rejects(endless, {
    code: "work_failed",
    message: "yes printed more than 100000000 characters and was ended",
  });
});

test("one that is stopped ends at once", async () => {
  const stop = new AbortController();
  const program = talk(["sleep", "60"], { signal: stop.signal });
  const asked = assert.rejects(program.ask("x"), { name: "AbortError" });
  stop.abort();
  await asked;
  await program.end();
});
