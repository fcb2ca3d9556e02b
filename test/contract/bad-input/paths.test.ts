/** Names that try to be paths, URLs that are none, and names that are there already; over every service and both doors. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { everything, plantThings, xname } from "../support/planted.ts";
import { assertProblem, openServed, type Served } from "../support/served.ts";

let served: Served;
before(async () => {
  served = await openServed({ sat: { repositories: {} } });
  await plantThings(served);
});
after(() => served.close());

const tricks = [
  ...["..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..", "%2e%2e", "..%5c..%5cetc", "a%2fb", "//"],
  ...["%00", "a%00b", "a%0d%0ab", "%ff%fe", "%", "%zz", "%25", "constructor", "__proto__", "a%20b", "';--"],
  ...["%F0%9F%92%A9", "x".repeat(900), "x".repeat(3000), "x".repeat(100_000), "x".repeat(200_000)],
];

const administrators = [
  ...["images", "recipes", "public-keys", "jobs", "deleted/images", "remote-build-nodes"].map(
    (one) => `/apis/ims/v3/${one}/`,
  ),
  ...["v2", "v3"].flatMap((version) => [`/apis/cfs/${version}/configurations/`, `/apis/cfs/${version}/sessions/`]),
  ...["sessiontemplates", "sessions", "components"].map((one) => `/apis/bos/v2/${one}/`),
  ...["State/Components", "groups", "Inventory/RedfishEndpoints", "Inventory/EthernetInterfaces"].map(
    (one) => `/hsm/v2/${one}/`,
  ),
  ...["/boot/v1/bootscript?name=", "/boot/v1/bootparameters?name=", "/transitions/", "/power-status?xname="],
  ...["/cloud-init/admin/groups/", `/cloud-init/admin/impersonation/${xname}/`, "/docs/"],
  ...["images", "images/a/documents", "blobs", "builds", "recipes", "nodes", "keys", "products", "channels"].map(
    (one) => `/apis/netkiln/v1/${one}/`,
  ),
];
const nodes = [
  "/boot-images/",
  "/boot-images/0f8fad5b-d9cb-469f-a165-70867728950e/",
  "/boots/",
  "/cloud-init/",
  "/netkiln/v1/boots/",
];

test("no trick in a name leads anywhere, and each is answered with title and detail", async () => {
  const before = await everything(served);
  for (const [door, places] of [
    [served.admin, administrators],
    [served.nodeDoor, nodes],
  ] as const) {
    for (const place of places) {
      for (const trick of tricks) {
        const headers = door === served.admin ? { authorization: `Bearer ${served.token}` } : {};
        const answer = await served.askAt(door, "GET", place + trick, { headers });
        const what = `${place}${trick.slice(0, 40)}`;
        assert.ok(
          [400, 404, 414, 422, 431].includes(answer.status),
          `${what}: ${answer.status} ${answer.text.slice(0, 200)}`,
        );
        assertProblem(answer, answer.status, what);
      }
    }
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("clients of git, of Kubernetes and of registries are told in their own forms", async () => {
  for (const trick of tricks.filter((one) => /^[\w%./]{1,40}$/.test(one) && !/%(ff|zz|$)/.test(one))) {
    const git = await served.ask("GET", `/vcs/${trick}/info/refs?service=git-upload-pack`);
    assert.ok(git.status === 404 && /^[a-z].*\n$/.test(git.text), `${trick}: ${git.status} ${git.text}`);
    const map = await served.ask("GET", `/api/v1/namespaces/services/configmaps/${trick}`);
    assert.equal(map.status, 404, trick);
    const registry = await served.askAt(served.nodeDoor, "GET", `/v2/${trick}/manifests/latest`);
    assert.ok(
      [400, 404].includes(registry.status) && registry.json.errors[0].code.length > 0,
      `${trick}: ${registry.text}`,
    );
  }
});

test("another spelling of a path needs the same role", async () => {
  const { secret } = await served.house.tokens.create({ name: "low", days: 1, role: "reader" });
  const authorization = `Bearer ${secret}`;
  for (const path of [
    "/apis/netkiln/v1/tokens",
    "/apis/netkiln/v1/%74okens",
    "http://elsewhere.example.org/apis/netkiln/v1/tokens",
    "/apis/netkiln/v1/tokens#images",
    "/apis/netkiln/v1/tokens?/images",
    "/boot/v1/%62ootparameters",
  ]) {
    assertProblem(await served.askAt(served.admin, "GET", path, { headers: { authorization } }), 403, path);
    assertProblem(await served.askAt(served.admin, "GET", path), 401, path);
  }
  for (const path of [
    "//apis/netkiln/v1/tokens",
    "/apis/netkiln/v1/images/../tokens",
    "/apis/netkiln/v1/tokens;x",
    "*",
  ]) {
    assertProblem(await served.askAt(served.admin, "GET", path, { headers: { authorization } }), 404, path);
  }
  assertProblem(
    await served.askAt(served.admin, "GET", "apis/netkiln", { headers: { authorization } }),
    400,
    "no path",
  );
});

/** What is there already, by the same call that made it. */
const twice: readonly (readonly [method: string, path: string, status: number, body: object])[] = [
  ["POST", "/boot/v1/bootparameters", 400, { hosts: [xname], kernel: "http://s/other" }],
  ["POST", "/apis/bss/boot/v1/bootparameters", 400, { hosts: [xname], kernel: "http://s/other" }],
  ["POST", "/hsm/v2/groups", 409, { label: "green" }],
  ["POST", "/hsm/v2/groups/green/members", 409, { id: xname }],
  ["POST", "/hsm/v2/partitions", 409, { name: "p1" }],
  ["POST", "/hsm/v2/Inventory/RedfishEndpoints", 409, { ID: "x1c0s1b0" }],
  ["POST", "/hsm/v2/Inventory/EthernetInterfaces", 409, { MACAddress: "02:00:00:00:00:01" }],
  ["POST", "/cloud-init/admin/groups", 409, { name: "green", file: { content: "#other\n", encoding: "plain" } }],
  ["POST", "/apis/netkiln/v1/accounts", 409, { name: "alice", password: "another good password" }],
  ["POST", "/apis/netkiln/v1/tenants", 409, { name: "blue" }],
  ["POST", "/apis/netkiln/v1/tokens", 409, { name: "tests" }],
];

test("a name that is taken is told, and what has it stays as it is", async () => {
  const before = await everything(served);
  for (const [method, path, status, body] of twice) {
    assertProblem(
      await served.ask(method, path, { body, headers: { "content-type": "application/json" } }),
      status,
      path,
    );
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});
