import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { useClock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { parseAllChecks } from "./checks.ts";
import { evaluateGate } from "./evaluate.ts";
import { openTree } from "../../test/support/tree-reader.ts";
import { plantTree, type Planted } from "../lib/plant-tree.ts";
import type { CommandOutcome, RunCommand } from "./resolve/command.ts";
import { readLimit } from "./tree.ts";
import type { Verdict } from "./verdict.ts";

const tree: Readonly<Record<string, Planted>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
  "etc/group": "root:x:0:\n",
  "etc/sysctl.d/a.conf": "vm.swappiness = 1\n",
  "usr/lib/systemd/system/ssh.service": "[Service]\n",
  "var/lib/dpkg/status": "Package: slurmd\nStatus: install ok installed\nVersion: 22.05.8\n",
};

const noCommand: RunCommand = () => Promise.reject(new Error("no command was expected"));

function outcome(part: Partial<CommandOutcome>): CommandOutcome {
  return { exitCode: 0, stdout: "", stderr: "", timedOut: false, ...part };
}

async function evaluate(
  context: TestContext,
  text: string | Readonly<Record<string, string>>,
  options: { runCommand?: RunCommand; tree?: Readonly<Record<string, Planted>>; signal?: AbortSignal } = {},
): Promise<Verdict> {
  const texts = typeof text === "string" ? { "a.yaml": text } : text;
  return evaluateGate({
    checks: parseAllChecks(Object.entries(texts).map(([file, content]) => ({ file, text: content }))),
    tree: await openTree(plantTree(context, options.tree ?? tree)),
    runCommand: options.runCommand ?? noCommand,
    ...(options.signal !== undefined && { signal: options.signal }),
  });
}

function lines(verdict: Verdict): string[] {
  return verdict.results.map(({ type, id, property, status }) => `${status} ${type} ${id} ${property}`);
}

test("every type of resource is evaluated against the tree, in a fixed order", async (context) => {
  const text = `
command: {"true": {exit-status: 0}}
kernel-param: {vm.swappiness: {value: "1"}}
service: {ssh: {enabled: true}}
group: {root: {exists: true, gid: 0}}
user: {root: {uid: 0, exists: true}}
package: {slurmd: {versions: ["22.05.8"], installed: true}}
file: {/etc/passwd: {contents: ["/^root:/"], exists: true}, /etc/group: {exists: true, title: Groups}}
`;
  const verdict = await evaluate(context, text, { runCommand: async () => outcome({}) });
  assert.deepEqual(lines(verdict), [
    "passed file /etc/passwd exists",
    "passed file /etc/passwd contents",
    "passed file /etc/group exists",
    "passed package slurmd installed",
    "passed package slurmd versions",
    "passed user root exists",
    "passed user root uid",
    "passed group root exists",
    "passed group root gid",
    "passed service ssh enabled",
    "passed kernel-param vm.swappiness value",
    "passed command true exit-status",
  ]);
  assert.equal(verdict.status, "passed");
  const { duration_ms, ...summary } = verdict.summary;
  assert.ok(duration_ms >= 0);
  assert.deepEqual(summary, {
    evaluated: 12,
    passed: 12,
    failed: 0,
    errors: 0,
    skipped: 0,
    deferred: 0,
  });
  assert.equal(verdict.files[0]?.evaluated, 12);
  assert.match(verdict.files[0]?.sha256 ?? "", /^[0-9a-f]{64}$/);
  assert.equal(verdict.results.find(({ id }) => id === "/etc/group")?.title, "Groups");
});

test("a failure fails the gate and tells expected and found", async (context) => {
  const verdict = await evaluate(context, 'file: {/etc/passwd: {exists: true, size: {gt: 1000}, contents: ["toor"]}}');
  assert.equal(verdict.status, "failed");
  const [, contents, size] = verdict.results;
  assert.deepEqual(
    [size?.status, size?.expected, size?.found, size?.message],
    ["failed", { gt: 1000 }, 32, "not as expected"],
  );
  assert.deepEqual(
    [contents?.expected, contents?.found, contents?.message],
    [["toor"], "32 bytes", 'not as expected; no line has "toor"'],
  );
});

test("an error is not a pass, and a failure beside it is still a failure", async (context) => {
  const wrongType = "user: {root: {exists: true, shell: {gt: 1}}}";
  const verdict = await evaluate(context, wrongType);
  assert.equal(verdict.status, "error");
  assert.equal(verdict.results[1]?.message, 'cannot be compared: "/bin/bash" is not a number');
  const both = await evaluate(context, `${wrongType}\ngroup: {root: {exists: false}}`);
  assert.equal(both.status, "failed");
  assert.equal(both.summary.errors, 1);
});

test("a package check on a tree without a database that can be read is an error", async (context) => {
  const rpm = { "usr/lib/sysimage/rpm/rpmdb.sqlite": "x", "etc/hostname": "n" };
  const checks = "package: {slurmd: {installed: false}}\nfile: {/etc/hostname: {exists: true}}";
  const verdict = await evaluate(context, checks, { tree: rpm });
  assert.equal(verdict.status, "error");
  assert.equal(verdict.results[1]?.message, "no rpm database reader yet");
});

test("what is not there has no other properties, whether that was expected or not", async (context) => {
  const text = `
file: {/nowhere: {exists: true, mode: "0644"}, /gone: {exists: false, mode: "0644"}}
package: {telnetd: {installed: false, versions: ["1"]}}
user: {nobody: {exists: true, uid: 1}}
`;
  const verdict = await evaluate(context, text);
  assert.deepEqual(lines(verdict), [
    "failed file /nowhere exists",
    "skipped file /nowhere mode",
    "passed file /gone exists",
    "skipped file /gone mode",
    "passed package telnetd installed",
    "skipped package telnetd versions",
    "failed user nobody exists",
    "skipped user nobody uid",
  ]);
});

test("a kernel parameter is predicted, and one that nothing sets fails", async (context) => {
  const verdict = await evaluate(
    context,
    'kernel-param: {vm.swappiness: {value: "1"}, vm.nr_hugepages: {value: {not: "1"}}}',
  );
  const [set, unset] = verdict.results;
  assert.deepEqual(
    [set?.status, set?.predicted, set?.message],
    ["passed", true, "as expected; set in /etc/sysctl.d/a.conf:1"],
  );
  assert.deepEqual([unset?.status, unset?.predicted, unset?.found], ["failed", true, null]);
  assert.match(unset?.message ?? "", /nothing in the tree sets vm\.nr_hugepages/);
});

test("what needs a booted node is deferred: neither passed nor evaluated", async (context) => {
  const text = `
user: {root: {exists: true}}
service: {ssh: {enabled: true, running: true, runlevels: ["5"]}}
port: {"tcp:22": {listening: true, ip: [0.0.0.0]}, "tcp:23": {listening: false, skip: true}}
mount: {/home: {exists: true}}
matching: {m: {content: 1, matches: 1}}
`;
  const verdict = await evaluate(context, text);
  assert.equal(verdict.status, "passed");
  assert.deepEqual(lines(verdict).slice(2), [
    "deferred service ssh running",
    "deferred service ssh runlevels",
    "deferred matching m matches",
    "deferred mount /home exists",
    "deferred port tcp:22 listening",
    "deferred port tcp:22 ip",
    "skipped port tcp:23 listening",
  ]);
  const { evaluated, deferred, skipped } = verdict.summary;
  assert.deepEqual([evaluated, deferred, skipped], [2, 6, 1]);
});

const nothings: Readonly<Record<string, [text: string, reason: string]>> = {
  "an empty file": ["# nothing here\n", "it asserts nothing"],
  "a file that asserts nothing": ["service: {ssh: {}}", "it asserts nothing"],
  "a file of deferred checks only": ["port: {tcp:22: {listening: true}}", "1 deferred to a booted node"],
  "a file of skipped checks only": ["user: {root: {exists: true, uid: 0, skip: true}}", "2 skipped"],
  "a file of errors only": ["service: {a/b: {enabled: false}}", "1 could not be evaluated"],
};

for (const [name, [text, reason]] of Object.entries(nothings)) {
  test(`${name} is an error, even beside a file that passes`, async (context) => {
    const verdict = await evaluate(context, {
      "good.yaml": "user: {root: {exists: true}}",
      "bad.yaml": text,
    });
    assert.equal(verdict.status, "error");
    const last = verdict.results.at(-1);
    assert.deepEqual([last?.file, last?.type, last?.status], ["bad.yaml", "checks", "error"]);
    assert.equal(last?.message, `bad.yaml: nothing was evaluated: ${reason}`);
    assert.deepEqual(
      verdict.files.map(({ evaluated }) => evaluated),
      [1, 0],
    );
  });
}

test("a file that only includes others has evaluated what they have, also in a circle", async (context) => {
  const good = await evaluate(context, {
    "checks/main.yaml": "gossfile: {sub/base.yaml: {}}",
    "checks/sub/base.yaml": "gossfile: {../main.yaml: {}}\nuser: {root: {exists: true}}",
  });
  assert.equal(good.status, "passed");
  assert.deepEqual(
    good.files.map(({ evaluated }) => evaluated),
    [1, 1],
  );
  assert.equal(good.summary.evaluated, 1);
  const empty = await evaluate(context, { "a.yaml": "gossfile: {b.yaml: {}}", "b.yaml": "{}" });
  assert.equal(empty.status, "error");
  assert.equal(empty.summary.errors, 2);
});

test("a command's exit status and output are matched, its text as lines", async (context) => {
  const seen: unknown[] = [];
  const runCommand: RunCommand = async (exec, options) => {
    seen.push([exec, options]);
    return outcome({ exitCode: 2, stdout: "one\ntwo\n", stderr: "warning\n" });
  };
  const text = `
command:
  version:
    exec: tool --version
    exit-status: 2
    stdout: [one, "!/^three$/"]
    stderr: ""
    timeout: 500
`;
  const verdict = await evaluate(context, text, { runCommand });
  assert.deepEqual(seen, [["tool --version", { timeoutMs: 500 }]]);
  assert.deepEqual(lines(verdict), [
    "passed command version exit-status",
    "passed command version stdout",
    "failed command version stderr",
  ]);
  assert.equal(verdict.results[2]?.found, "warning\n");
});

test("commands run after everything else of all files, so that they cannot prepare an answer", async (context) => {
  const root = plantTree(context, tree);
  const runCommand: RunCommand = async () => {
    writeFileSync(join(root, "etc/made"), "by a command");
    return outcome({});
  };
  const verdict = await evaluateGate({
    checks: parseAllChecks([
      { file: "a.yaml", text: "command: {make: {exit-status: 0}}" },
      { file: "b.yaml", text: "file: {/etc/made: {exists: false}}" },
    ]),
    tree: await openTree(root),
    runCommand,
  });
  assert.deepEqual(lines(verdict), ["passed command make exit-status", "passed file /etc/made exists"]);
});

test("a long output is cut short in the results", async (context) => {
  const runCommand: RunCommand = async () => outcome({ stdout: "x".repeat(100_000) });
  const verdict = await evaluate(context, "command: {a: {exit-status: 0, stdout: {have-len: 100000}}}", { runCommand });
  assert.equal(verdict.status, "passed");
  assert.equal(String(verdict.results[1]?.found).length, "x".repeat(2000).length + "… (100000 characters)".length);
});

test("a command that does not end or cannot be started is an error, whatever was expected", async (context) => {
  const text = "command: {a: {exit-status: {not: 0}, stdout: {not: x}}}";
  const late = await evaluate(context, text, {
    runCommand: async () => outcome({ exitCode: 124, timedOut: true }),
  });
  assert.equal(late.status, "error");
  assert.deepEqual(lines(late).slice(0, 2), ["error command a exit-status", "error command a stdout"]);
  assert.equal(late.results[0]?.message, "the command did not end within 10000 ms");
  const missing = await evaluate(context, text, {
    runCommand: () => Promise.reject(new Error("no /bin/sh in the tree")),
  });
  assert.equal(missing.status, "error");
  assert.equal(missing.results[0]?.message, "no /bin/sh in the tree");
});

test("a command is run again until it passes, and no more often than allowed", async (context) => {
  const slept: number[] = [];
  context.after(useClock({ sleep: async (milliseconds) => void slept.push(milliseconds) }));
  let runs = 0;
  const runCommand: RunCommand = async () => outcome({ exitCode: (runs += 1) < 3 ? 1 : 0 });
  const passing = await evaluate(context, "command: {a: {exit-status: 0, retry_count: 5, retry_delay: 250ms}}", {
    runCommand,
  });
  assert.deepEqual([passing.status, runs, slept], ["passed", 3, [250, 250]]);
  runs = -10;
  const failing = await evaluate(context, "command: {a: {exit-status: 0, retry_count: 1}}", {
    runCommand,
  });
  assert.deepEqual([failing.status, runs, slept], ["failed", -8, [250, 250, 1000]]);
  assert.equal(failing.results.length, 1);
});

test("an evaluation that is aborted waits for no further try", { timeout: 5000 }, async (context) => {
  const stop = new AbortController();
  const text = "command: {a: {exit-status: 0, retry_count: 5, retry_delay: 10s}}";
  const runCommand: RunCommand = async () => {
    setImmediate(() => stop.abort());
    return outcome({ exitCode: 1 });
  };
  await assert.rejects(evaluate(context, text, { runCommand, signal: stop.signal }), { name: "AbortError" });
});

test("a file that is too large to be read as a whole passes no check of its contents", async (context) => {
  const large = "x".repeat(readLimit + 1);
  const text = 'file: {/large: {exists: true, contents: ["!nothing"]}}';
  const verdict = await evaluate(context, text, { tree: { large } });
  assert.deepEqual(lines(verdict), ["passed file /large exists", "error file /large contents"]);
  assert.equal(
    verdict.results[1]?.message,
    `/large has ${readLimit + 1} bytes, more than the ${readLimit} that are read`,
  );
});

test("mistakes in the checks are told before anything runs", async (context) => {
  await assert.rejects(
    evaluate(context, "command: {a: {exit-status: 0}}\nfil: {}"),
    (error) => error instanceof NetkilnError && error.problems.length === 1,
  );
});

test("the same tree and checks come to the same verdict, durations aside", async (context) => {
  const restore = useClock({ now: () => new Date(0) });
  context.after(restore);
  const text = "port: {tcp:22: {listening: true}}\nuser: {root: {exists: true, home: /home}}";
  assert.deepEqual(await evaluate(context, text), await evaluate(context, text));
});
