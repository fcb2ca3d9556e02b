/** Ids of nothing, in every operation that has one in its path: not found, in the service's own form, and nothing is changed. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { OpenApiDocument } from "../../../src/api/openapi/document.ts";
import { everything, plantThings } from "../support/planted.ts";
import { assertProblem, openServed, type Served } from "../support/served.ts";

let served: Served;
let document: OpenApiDocument;

before(async () => {
  served = await openServed({ sat: { repositories: {} } });
  await plantThings(served);
  document = (await served.ask("GET", "/openapi.json")).json as OpenApiDocument;
});
after(() => served.close());

const unknown = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
const xname = "x9c0s0b0n0";
/** Where an id has a form, one of that form; nothing of what is planted has one of these. */
const ids: Readonly<Record<string, string>> = {
  ...{ xname, remote_build_node_xname: xname, xname_id: xname, component_id: xname, nid: "999" },
  ...{ ethInterfaceID: "0200000000ff", ipAddress: "10.0.0.9", product: "none:1.0.0" },
};

/** What a service would take for something that is there: the first that its method and the end of its path match. */
const bodies: readonly (readonly [operation: RegExp, body: unknown])[] = [
  [/^PATCH \/apis\/ims\/.*deleted/, { operation: "undelete" }],
  [/^PATCH \/apis\/ims\/.*jobs/, { status: "error" }],
  [/^PATCH \/apis\/ims\//, { arch: "aarch64" }],
  [/sessiontemplates\/\{\w+\}$/, { description: "other" }],
  [/bos.*components\/\{\w+\}$/, { enabled: false }],
  [/^PATCH .*StateData$/, { State: "On" }],
  [/^PATCH .*FlagOnly$/, { Flag: "OK" }],
  [/^PATCH .*Enabled$/, { Enabled: true }],
  [/^PATCH .*Role$/, { Role: "Compute" }],
  [/^PATCH .*NID$/, { NID: 7 }],
  [/^POST .*\/(groups|partitions)\/\{\w+\}\/members$/, { id: "x1c0s0b0n0" }],
  [/^PUT .*\/groups\/\{\w+\}\/members$/, { ids: [] }],
  [/^POST .*\/IPAddresses$/, { IPAddress: "10.0.0.8" }],
  [/^PATCH .*\/IPAddresses\/\{\w+\}$/, { Network: "NMN" }],
  [/^POST .*\/images\/\{name\}\/promote$/, { channel: "compute:stable" }],
  [/^POST .*\/images\/\{name\}\/push$/, { reference: "docker://registry.example.org/compute:1" }],
  [/^POST .*\/nodes\/\{name\}\/power$/, { operation: "on" }],
  [/^PUT .*\/accounts\/\{name\}\/password$/, { password: "another good password" }],
  [/^PUT .*\/accounts\/\{name\}\/role$/, { role: "reader" }],
  [/^POST \/cloud-init\/phone-home\/\{id\}$/, { instance_id: "i-0123" }],
];

/** What is not answered with 404, and why; `undefined` stands for what would make the thing. */
const exceptions: readonly (readonly [operation: RegExp, status: number | undefined, because: string])[] = [
  [/^PUT \/apis\/cfs\/v\d\/(configurations|components)\/\{\w+\}$/, undefined, "makes it"],
  [/^PUT \/apis\/bos\/v2\/(sessiontemplates|components)\/\{\w+\}$/, undefined, "makes it"],
  [/^PUT \/cloud-init\/admin\/(groups|instance-info)\/\{\w+\}$/, undefined, "makes it"],
  [/^PUT .*\/hsm\/v2\/(State\/Components|Defaults\/NodeMaps|sysinfo\/powermaps)\/\{xname\}$/, undefined, "makes it"],
  [/^PUT \/apis\/netkiln\/v1\/(groups|nodes|templates|products)\/\{\w+\}$/, undefined, "makes it"],
  [/^POST \/apis\/cfs\/v3\/sources\/\{\w+\}$/, undefined, "brings it back as it is said to have been"],
  [/^DELETE \/cloud-init\/admin\/groups\/\{name\}$/, 200, "the contract knows no other end, as what it is to be is so"],
  [/^GET \/cloud-init\/admin\/impersonation\/\{id\}\/(user|vendor)-data$/, 200, "the contract knows no other"],
  [/^(GET|POST) \/cloud-init\/(\{group\}\.yaml|phone-home\/\{id\})$/, 422, "who asks is no node"],
  [/^GET .*\/State\/Components\/Query\/\{xname\}$/, 200, "a list, and empty"],
  [/^GET \/api\/v1\/namespaces\/\{namespace\}\/(configmaps|pods)$/, 200, "a list, and empty"],
  [/^GET \/apis\/netkiln\/v1\/nodes\/\{name\}\/boot-parameters$/, 200, "tells why there are none"],
  [/^POST \/vcs\//, 415, "only git is answered"],
];

/** Those whose clients read no problem of RFC 9457. */
const ownForm = /^\/(vcs|api\/v1)\//;

interface Asked {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
}

function operations(): readonly Asked[] {
  return Object.entries(document.paths).flatMap(([template, methods]) =>
    Object.keys(methods)
      .filter(() => template.includes("{"))
      .map((name) => {
        const path = template.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => ids[parameter] ?? unknown);
        return { operation: `${name.toUpperCase()} ${template}`, method: name.toUpperCase(), path };
      }),
  );
}

test("every id that is of nothing is not found, and nothing is changed", async () => {
  const before = await everything(served);
  const all = operations();
  assert.ok(all.length > 280, `${all.length} operations`);
  for (const { operation, method, path } of all) {
    const [, expected] = exceptions.find(([pattern]) => pattern.test(operation)) ?? [undefined, 404];
    if (expected === undefined) continue;
    const body = method === "GET" || method === "DELETE" ? undefined : (find(bodies, operation) ?? {});
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const answer = await served.ask(method, path, { body, headers });
    if (expected >= 400 && !ownForm.test(path)) assertProblem(answer, expected, operation);
    else assert.equal(answer.status, expected, `${operation}: ${answer.text.slice(0, 300)}`);
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("every exception is of an operation that there is, and so is every body", () => {
  const all = operations().map(({ operation }) => operation);
  for (const [pattern] of [...exceptions, ...bodies])
    assert.ok(
      all.some((one) => pattern.test(one)),
      String(pattern),
    );
});

function find<Value>(table: readonly (readonly [RegExp, Value])[], operation: string): Value | undefined {
  return table.find(([pattern]) => pattern.test(operation))?.[1];
}
