import assert from "node:assert/strict";
import { test } from "node:test";
import { NetkilnError, formatProblem } from "../lib/errors.ts";
import { parseAllChecks, parseChecks } from "./checks.ts";

function problemsOf(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof NetkilnError);
    assert.equal(error.code, "invalid_input");
    return error.problems.map(formatProblem);
  }
  return assert.fail("no mistake was found");
}

test("every attribute of the supported types is read, in goss's order", () => {
  const { resources } = parseChecks(
    "a.yaml",
    `
file:
  x:
    path: /etc/x
    title: a title
    meta: {why: [anything]}
    sha512: a
    sha256: b
    md5: c
    size: {gt: 0}
    contents: [foo]
    filetype: file
    linked-to: /y
    gid: 0
    group: root
    uid: 0
    owner: root
    mode: "0644"
    exists: true
package: {p: {name: q, installed: true, versions: ["1"], retry_count: 3, retry_delay: 1s}}
user: {u: {username: v, exists: true, shell: /bin/sh, groups: [g], home: /h, gid: 1, uid: 1}}
group: {g: {groupname: h, exists: true, gid: 1}}
service: {s: {name: t, enabled: true, running: true, runlevels: ["5"], skip: true}}
kernel-param: {k: {name: l, value: "1"}}
command: {c: {exec: "true", exit-status: 0, stdout: [a], stderr: "", timeout: 0, retry_count: 2, retry_delay: 1m0.5s}}
`,
  );
  const names = resources.map((resource) =>
    resource.kind === "deferred"
      ? []
      : [resource.type, ...resource.assertions.map(({ property }) => property)].join(" "),
  );
  assert.deepEqual(names, [
    "file exists mode owner uid group gid linked-to filetype contents size md5 sha256 sha512",
    "package installed versions",
    "user exists uid gid home groups shell",
    "group exists gid",
    "service enabled running runlevels",
    "kernel-param value",
    "command exit-status stdout stderr",
  ]);
  assert.deepEqual(
    resources.flatMap((resource) => (resource.kind === "tree" ? resource.subject : [])),
    ["/etc/x", "q", "v", "h", "t", "l"],
  );
  assert.equal(resources[0]?.title, "a title");
  assert.deepEqual(
    resources.map(({ skip }) => skip),
    [false, false, false, false, true, false, false],
  );
  const command = resources.at(-1);
  assert.ok(command?.kind === "command");
  assert.deepEqual(
    [command.exec, command.timeoutMs, command.retryCount, command.retryDelayMs],
    ["true", 10_000, 2, 60_500],
  );
});

test("the id stands for the subject, and a bare retry delay is in milliseconds", () => {
  const { resources } = parseChecks(
    "a.yaml",
    "command: {'id -u': {exit-status: 0, retry_delay: 250}}\nuser: {root: {exists: true}}",
  );
  assert.deepEqual(
    resources.map((resource) => (resource.kind === "command" ? [resource.exec, resource.retryDelayMs] : resource.id)),
    ["root", ["id -u", 250]],
  );
});

test("the old name of contents is read, but not beside the new one", () => {
  const [resource] = parseChecks("a.yaml", "file: {/a: {exists: true, contains: [foo]}}").resources;
  assert.ok(resource?.kind === "tree");
  assert.deepEqual(
    resource.assertions.map(({ property }) => property),
    ["exists", "contents"],
  );
  assert.deepEqual(
    problemsOf(() => parseChecks("a.yaml", "file: {/a: {exists: true, contains: [foo], contents: [foo]}}")),
    ['a.yaml:1:37: file./a.contains: is the old name of "contents"; write only one of them'],
  );
});

test("an empty list of contents asserts nothing", () => {
  const [resource] = parseChecks("a.yaml", "file: {/a: {exists: true, contents: []}}").resources;
  assert.ok(resource?.kind === "tree");
  assert.deepEqual(
    resource.assertions.map(({ property }) => property),
    ["exists"],
  );
});

test("all mistakes are told at once, each with its place", () => {
  const text = `file:
  /a:
    exists: true
    mod: "0644"
    size: {gt: ten}
  relative:
    contents: ["/(/"]
  /b:
pacage:
  x: {installed: true}
service: {s: {enabled: null}}
command:
  x: {exit-status: 0, stdout: [5], retry_delay: soon}
port: {tcp:22: {listen: true}}
gossfile: {"*.yaml": {}, /abs.yaml: {}}
`;
  assert.deepEqual(
    problemsOf(() => parseChecks("a.yaml", text)),
    [
      'a.yaml:4:5: unknown key "mod" in file./a',
      "a.yaml:5:16: file./a.size.gt: expects a number",
      `a.yaml:6:3: file.relative: must be an absolute path inside the image`,
      "a.yaml:7:5: file.relative.exists: is missing; goss requires this attribute",
      "a.yaml:7:16: file.relative.contents[0]: not a regular expression in Go's (RE2) syntax: error parsing regexp: missing closing ): `(`",
      "a.yaml:8:6: file./b: Invalid input: expected object, received null",
      'a.yaml:9:1: unknown key "pacage"',
      "a.yaml:11:24: service.s.enabled: has no value; write what is expected, or leave the attribute out",
      'a.yaml:13:32: command.x.stdout[0]: a line pattern is a string; write "5" in quotes',
      'a.yaml:13:49: command.x.retry_delay: must be milliseconds or a duration such as "500ms" or "2s"',
      'a.yaml:14:17: unknown key "listen" in port.tcp:22',
      "a.yaml:15:12: gossfile.*.yaml: must be the relative path of one file; absolute paths and globs are not supported",
      "a.yaml:15:26: gossfile./abs.yaml: must be the relative path of one file; absolute paths and globs are not supported",
    ],
  );
});

test("mistakes of YAML and templates of goss are told too", () => {
  assert.match(problemsOf(() => parseChecks("a.yaml", "file: {/a: {exists: true}"))[0] ?? "", /^a\.yaml:1:\d+: /);
  assert.match(problemsOf(() => parseChecks("a.yaml", "- a\n"))[0] ?? "", /^a\.yaml:1:1: .*expected object/);
  assert.deepEqual(
    problemsOf(() => parseChecks("a.yaml", "file:\n  {{.Vars.path}}: {exists: true}\n")),
    ["a.yaml:2:3: goss templates ({{ … }}) are not supported (render the file first, with goss render)"],
  );
});

test("a file without any entry parses; that it evaluates nothing is for the gate to say", () => {
  for (const text of ["", "# nothing\n", "file: {}\n"]) assert.deepEqual(parseChecks("a.yaml", text).resources, []);
});

test("includes are named relative to the file and must be among the gate's files", () => {
  const main = {
    file: "./checks/main.yaml",
    text: "gossfile: {common/base.yaml: {}, other: {file: ../net.yaml}, off.yaml: {skip: true}}",
  };
  const base = { file: "checks/common/base.yaml", text: "user: {root: {exists: true}}" };
  assert.deepEqual(parseChecks(main.file, main.text).includes, ["checks/common/base.yaml", "net.yaml"]);
  assert.deepEqual(
    problemsOf(() => parseAllChecks([main, base])),
    [
      "checks/main.yaml: gossfile: net.yaml is not one of the gate's files of checks (add net.yaml to the checks of the gate)",
    ],
  );
});

test("the mistakes of all files come in one error, and a gate needs a file", () => {
  const wrong = (file: string) => ({ file, text: "fil: {}" });
  assert.deepEqual(
    problemsOf(() => parseAllChecks([wrong("a.yaml"), wrong("b.yaml"), wrong("./b.yaml")])),
    [
      'a.yaml:1:1: unknown key "fil"',
      'b.yaml:1:1: unknown key "fil"',
      'b.yaml:1:1: unknown key "fil"',
      "b.yaml: is given more than once",
    ],
  );
  assert.throws(() => parseAllChecks([]), /the gate has no file of checks/);
});
