import assert from "node:assert/strict";
import { after, test } from "node:test";
import fastify from "fastify";
import type { Image } from "../../../image/index.ts";
import { migrate, openDatabase } from "../../../lib/db.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../../../node/index.ts";
import { migrations, openBootComponents, openBootOptions, openSessionStore } from "../../../orchestration/index.ts";
import { registerTemplates } from "../../native/templates.ts";
import { registerSessions } from "../../native/sessions.ts";
import { answerProblems } from "../../problem.ts";
import { registerService } from "../../service.ts";
import { bosService } from "./routes.ts";

const digests = { sha256: "ab12", md5: "", size: 1 };
const image = {
  ...{ id: "img-1", arch: "x86_64", buildId: "build-1", kernelParameters: "console=ttyS0" },
  artifacts: { rootfs: digests, kernel: digests, initrd: digests, manifest: digests },
} as unknown as Image;

async function openApi() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...migrations });
  const app = fastify();
  answerProblems(app);
  after(() => app.close());
  const sessions = openSessionStore(db);
  let woken = 0;
  const wake = () => (woken += 1);
  const findBootable = async (id: string) => (id === image.id ? image : undefined);
  const stores = { sessions, bootComponents: openBootComponents(db), bootOptions: openBootOptions(db) };
  registerService(app, bosService({ ...stores, findBootable, wake }));
  registerTemplates(app, { sessions });
  registerSessions(app, { sessions, wake });
  const call = async (method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", url: string, body?: unknown) => {
    // BOS's clients may send no type, as old ones and scripts do.
    const headers = url.startsWith(native) && body !== undefined ? { "content-type": "application/json" } : {};
    const payload = body === undefined ? {} : { payload: JSON.stringify(body) };
    const answer = await app.inject({ method, url, headers, ...payload });
    return { status: answer.statusCode, body: answer.body === "" ? undefined : answer.json() };
  };
  return { call, nodes: openNodeStore(db), inventory: openInventory(db), woken: () => woken };
}

const bos = "/apis/bos/v2";
const native = "/apis/netkiln/v1";

/** As sat bootprep puts it. */
const satTemplate = {
  cfs: { configuration: "compute-24.7.0" },
  enable_cfs: true,
  boot_sets: {
    compute: {
      ...{ arch: "X86", kernel_parameters: "ip=dhcp quiet", node_roles_groups: ["Compute"] },
      ...{ rootfs_provider: "live", rootfs_provider_passthrough: "" },
      ...{ path: "s3://boot-images/img-1/manifest.json", etag: "8a2b", type: "s3" },
    },
  },
};

test("sat's calls: a template is listed, put and found as it was put", async () => {
  const { call } = await openApi();
  assert.deepEqual((await call("GET", `${bos}/sessiontemplates`)).body, []);
  const put = await call("PUT", `${bos}/sessiontemplates/compute-24.7.0`, satTemplate);
  assert.deepEqual([put.status, put.body], [200, { name: "compute-24.7.0", ...satTemplate, tenant: "" }]);
  assert.deepEqual((await call("GET", `${bos}/sessiontemplates`)).body, [put.body]);
  assert.deepEqual({ ...(await call("GET", `${native}/templates/compute-24.7.0`)).body, tenant: "" }, put.body);
});

test("cray's calls: a session is made, watched and removed; netkiln's commands show the same one", async () => {
  const { call, nodes, woken } = await openApi();
  await nodes.put(parseNode({ xname: "x1c0s0b0n0", nid: 1 }));
  await call("PUT", `${bos}/sessiontemplates/compute`, satTemplate);
  const made = await call("POST", `${bos}/sessions`, {
    operation: "reboot",
    template_name: "compute",
    limit: "x1c0s0b0n0",
  });
  assert.equal(made.status, 201);
  assert.match(made.body.name, /^[0-9a-f]{8}-/);
  assert.deepEqual(made.body.status, {
    status: "pending",
    start_time: made.body.status.start_time,
    end_time: null,
    error: null,
  });
  assert.equal(woken(), 1);
  const seen = (await call("GET", `${native}/sessions/${made.body.name}`)).body;
  assert.deepEqual([seen.operation, seen.limit, seen.options.default_retry_policy], ["reboot", "x1c0s0b0n0", 1]);
  const status = (await call("GET", `${bos}/sessions/${made.body.name}/status`)).body;
  assert.deepEqual([status.status, status.managed_components_count, status.error_summary], ["pending", 0, {}]);
  assert.match(status.timing.duration, /^0:00:0\d$/);

  const own = await call("POST", `${native}/sessions`, {
    name: "own",
    operation: "shutdown",
    template_name: "compute",
  });
  assert.equal(own.status, 201);
  const names = (await call("GET", `${bos}/sessions`)).body.map(({ name }: { name: string }) => name);
  assert.deepEqual(names.sort(), [made.body.name, "own"].sort());
  assert.equal((await call("DELETE", `${bos}/sessions/own`)).status, 204);
  assert.equal((await call("DELETE", `${bos}/sessions?status=pending`)).status, 204);
  assert.deepEqual((await call("GET", `${bos}/sessions`)).body, []);
});

test("a session that could not run is refused with the reason, and one that shuts down asks less", async () => {
  const { call } = await openApi();
  const { compute } = satTemplate.boot_sets;
  const put = (set: object) =>
    call("PUT", `${bos}/sessiontemplates/t`, { boot_sets: { compute: { ...compute, ...set } } });
  const post = (operation = "boot") => call("POST", `${bos}/sessions`, { operation, template_name: "t" });
  await put({ rootfs_provider: "sbps" });
  const refused = await post();
  assert.deepEqual(refused.body, {
    ...{ type: "about:blank", status: 400, title: "Bad Request" },
    detail: `Session template: 't' boot set: 'compute': there is no root provider "sbps" (known ones: live)`,
  });
  assert.equal((await post("shutdown")).status, 201);
  await put({ arch: "ARM" });
  assert.match((await post()).body.detail, /is for x86_64, but boot set "compute" is for ARM/);
  await put({ path: "s3://boot-images/img-1/other.json" });
  assert.match((await post()).body.detail, /can be booted only with type s3/);
});

test("what native templates hold is valid for BOS's clients too", async () => {
  const { call } = await openApi();
  const boot_sets = {
    a: { type: "s3", path: "s3://boot-images/img-1/manifest.json", node_list: ["x1c0s0b0n0"], etag: "" },
  };
  await call("PUT", `${native}/templates/own`, { description: "", boot_sets });
  assert.deepEqual((await call("GET", `${bos}/sessiontemplates/own`)).body, {
    name: "own",
    enable_cfs: true,
    boot_sets: { a: { type: "s3", path: boot_sets.a.path, arch: "X86", node_list: ["x1c0s0b0n0"] } },
    tenant: "",
  });
});

test("a list longer than a page comes whole and in order, and ends where it is asked to", async () => {
  const { call, inventory } = await openApi();
  const ids = Array.from({ length: 2500 }, (_, index) => `x1000c0s0b0n${index}`).sort();
  const node = (xname: string) => ({ xname, state: "Ready", flag: "OK", enabled: true, arch: undefined }) as const;
  const untold = { softwareStatus: undefined, role: undefined, subRole: undefined, nid: undefined };
  const rest = { subtype: undefined, netType: undefined, class: undefined };
  await inventory.components.create(
    ids.map((id) => ({ ...node(id), ...untold, ...rest })),
    { force: false },
  );
  const list = async (query: string) =>
    (await call("GET", `${bos}/components${query}`)).body.map(({ id }: { id: string }) => id);
  assert.deepEqual(await list(""), ids);
  assert.deepEqual(await list("?page_size=1200&start_after_id=x1000c0s0b0n1"), ids.slice(2, 1202));
  assert.deepEqual(await list("?page_size=0&enabled=true"), []);
  assert.deepEqual(await list(`?ids=${ids[7]},x9,${ids[3]}`), [ids[3], ids[7]]);
});

test("a component round trips, and a patch goes deep", async () => {
  const { call } = await openApi();
  const boot_artifacts = {
    kernel: "s3://boot-images/img-1/kernel",
    initrd: "s3://boot-images/img-1/initrd",
    kernel_parameters: "quiet",
  };
  const said = {
    ...{ enabled: false, error: "odd", session: "s", retry_policy: 2 },
    desired_state: { boot_artifacts, configuration: "c" },
    staged_state: { boot_artifacts, configuration: "d", session: "later" },
    last_action: { action: "powering_on", failed: true },
    event_stats: { power_on_attempts: 4, power_off_graceful_attempts: 5, power_off_forceful_attempts: 6 },
    status: { phase: "powering_on", status_override: "" },
  };
  const put = (await call("PUT", `${bos}/components/x1`, said)).body;
  assert.deepEqual(put.event_stats, {
    power_on_attempts: 0,
    power_off_graceful_attempts: 0,
    power_off_forceful_attempts: 0,
  });
  assert.deepEqual([put.enabled, put.error, put.session, put.retry_policy], [false, "odd", "s", 2]);
  assert.deepEqual(put.desired_state.boot_artifacts, boot_artifacts);
  assert.deepEqual([put.staged_state.session, put.staged_state.configuration], ["later", "d"]);
  assert.deepEqual(put.status, { phase: "powering_on", status: "power_on_pending", status_override: "" });
  const { event_stats } = said;
  const patched = await call("PATCH", `${bos}/components/x1`, {
    event_stats,
    desired_state: { bss_token: "t" },
    session: "s",
  });
  assert.deepEqual(patched.body.event_stats, event_stats);
  assert.deepEqual(patched.body.desired_state.boot_artifacts, boot_artifacts);
  const debug = { desired_state: { boot_artifacts: { kernel_parameters: "debug" } } };
  const after = (await call("PATCH", `${bos}/components/x1`, debug)).body;
  assert.deepEqual(after.desired_state.boot_artifacts, { ...boot_artifacts, kernel_parameters: "debug" });
  assert.deepEqual([after.session, after.desired_state.configuration], ["", "c"]);
});
