/** The program that runs a gate's commands in a tree, here in this machine's own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { run, talk, type Talk } from "../../src/lib/exec.ts";

const program = fileURLToPath(new URL("../../src/build/inside/run-commands.py", import.meta.url));
const empty = mkdtempSync(join(tmpdir(), "nk-tree-"));
after(() => rmSync(empty, { recursive: true }));

async function withRunner(
  tree: string,
  work: (ask: (command: string, timeoutMs?: number) => Promise<unknown>) => Promise<void>,
) {
  const runner: Talk = talk(["/usr/bin/python3", "-I", program, tree]);
  try {
    await work(async (command, timeoutMs = 20_000) =>
      JSON.parse(await runner.ask(JSON.stringify({ command, timeoutMs }))),
    );
  } finally {
    await runner.end();
  }
}

test("a command gives its exit code and what it printed", () =>
  withRunner("/", async (ask) => {
    const printed = { stdout: "out\n", stderr: "err\n", timedOut: false };
    assert.deepEqual(await ask("echo out; echo err >&2; exit 3"), { exitCode: 3, ...printed });
    assert.deepEqual(await ask("printf 'a\\377b'"), { exitCode: 0, stdout: "a\ufffdb", stderr: "", timedOut: false });
  }));

test("a command has the environment of everything that netkiln starts, and no input", () =>
  withRunner("/", async (ask) => {
    const { stdout } = (await ask("env | cut -d= -f1 | sort; cat")) as { stdout: string };
    assert.deepEqual(stdout.trim().split("\n"), ["LC_ALL", "PATH", "PWD", "TZ"]);
  }));

test("what is over its time is ended, whether or not it still has its outputs", () =>
  withRunner("/", async (ask) => {
    const late = { exitCode: 124, stderr: "", timedOut: true };
    assert.deepEqual(await ask("echo begun; sleep 60", 300), { ...late, stdout: "begun\n" });
    assert.deepEqual(await ask("exec >&- 2>&-; sleep 60", 300), { ...late, stdout: "" });
  }));

test("what a command leaves behind ends with it", () =>
  withRunner("/", async (ask) => {
    assert.deepEqual(await ask("sleep 60 & echo done"), {
      ...{ exitCode: 0, stdout: "done\n", stderr: "", timedOut: false },
    });
  }));

test("a command that prints without end is no outcome, and the next one runs", () =>
  withRunner("/", async (ask) => {
    assert.deepEqual(await ask("yes"), { error: "the command printed more than 1048576 bytes and was ended" });
    assert.deepEqual(await ask("true"), { exitCode: 0, stdout: "", stderr: "", timedOut: false });
  }));

test("a command that cannot be started is no outcome, and the next one runs", () =>
  withRunner("/", async (ask) => {
    for (const command of ["echo a\0b", `echo ${"x".repeat(200_000)}`, "echo \ud800"]) {
      const { error } = (await ask(command)) as { error: string };
      assert.match(error, /^the command cannot be started: /);
    }
    const done = { exitCode: 0, stdout: "", stderr: "", timedOut: false };
    assert.deepEqual(await ask("true", Number.MAX_SAFE_INTEGER), done);
  }));

test("what the shell prints when it is looked for is no answer", async () => {
  const tree = join(empty, "printing");
  await mkdir(join(tree, "bin"), { recursive: true });
  // A shell that prints a line whatever it is asked.
  await copyFile("/bin/echo", join(tree, "bin/sh"));
  for (const library of (await run(["ldd", "/bin/echo"])).stdout.match(/\/\S+/g) ?? []) {
    await mkdir(dirname(join(tree, library)), { recursive: true });
    await copyFile(library, join(tree, library));
  }
  await withRunner(tree, async (ask) => {
    const { stdout } = (await ask("true")) as { stdout: string };
    assert.equal(stdout, "-c true\n");
  });
});

test("a tree without a shell says so", () =>
  withRunner(empty, async (ask) => {
    assert.deepEqual(await ask("true"), { error: "the tree has no shell that runs (/bin/sh)" });
  }));
