import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import {
  advanceImageSession,
  limitLayers,
  migrations,
  openConfigurationSessions,
  openConfigurationStore,
  resultName,
  type ConfigurationSessionRequest,
  type ImageSessionPorts,
} from "./index.ts";

const layer = { url: "/site", playbook: "site.yml", commit: "0".repeat(40) };

async function openSessions() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  await openConfigurationStore(db).put("site", { layers: [layer] });
  return openConfigurationSessions(db);
}

const first = "11111111-1111-4111-8111-111111111111";
const second = "22222222-2222-4222-8222-222222222222";

function request(name: string, more: Partial<ConfigurationSessionRequest> = {}): ConfigurationSessionRequest {
  return {
    name,
    configuration: "site",
    configurationLimit: "",
    ansible: { config: "cfs-default-ansible-cfg", verbosity: 0 },
    target: { definition: "dynamic" },
    tags: {},
    debugOnFailure: false,
    ...more,
  };
}

const images = {
  definition: "image",
  groups: [
    { name: "Compute", members: [first, second] },
    { name: "Application", members: [first] },
  ],
  imageMap: [{ sourceId: first, resultName: "made" }],
} as const;

test("a session needs a configuration, a name of its own and a target that makes sense", async () => {
  const sessions = await openSessions();
  const refused = (more: Partial<ConfigurationSessionRequest>, message: RegExp) =>
    assert.rejects(sessions.create(request("one", more)), { code: "invalid_input", message });
  await refused({ configuration: "none" }, /No configurations exist named none/);
  await refused({ target: { ...images, definition: "dynamic" } }, /must not contain groups/);
  await refused({ target: { definition: "image" } }, /At least one target group/);
  await refused({ target: { definition: "spec", groups: [{ name: "a", members: [] }] } }, /must not be empty/);
  await refused({ target: { definition: "image", groups: [{ name: "a", members: ["x"] }] } }, /not valid UUIDs: x/);
  await refused({ target: { definition: "image", groups: [{ name: "a]\n[b", members: [first] }] } }, /no names/);
  await sessions.create(request("one"));
  await sessions.create(request("debug", { configuration: "debug_noop" }));
  await assert.rejects(sessions.create(request("one")), { code: "conflict" });
});

test("reports of a session never step back", async () => {
  const sessions = await openSessions();
  await sessions.create(request("one"));
  await sessions.report("one", { status: "complete", succeeded: "true", job: "cfs-1" });
  const artifact = { imageId: first, resultId: second, type: "ims_customized_image" };
  await sessions.report("one", { status: "running", succeeded: "unknown", artifacts: [artifact] });
  const session = await sessions.report("one", { artifacts: [artifact] });
  assert.deepEqual([session.status, session.succeeded, session.artifacts], ["complete", "true", [artifact]]);
  await assert.rejects(sessions.report("one", { job: "cfs-2" }, { keepJob: true }), { code: "conflict" });
  assert.equal((await sessions.report("one", { job: "cfs-2" })).job, "cfs-2");
});

test("sessions are found and removed by age, status, name and tags", async () => {
  const sessions = await openSessions();
  let now = Date.parse("2026-01-01T00:00:00Z");
  const restore = useClock({ now: () => new Date(now) });
  await sessions.create(request("old", { tags: { owner: "us", why: "test" } }));
  now += 3 * 86_400_000;
  await sessions.create(request("young", { tags: { owner: "us" } }));
  await sessions.report("young", { status: "complete", succeeded: "false" });
  const names = async (filter: Parameters<typeof sessions.list>[0]) =>
    (await sessions.list(filter)).map(({ name }) => name);
  assert.deepEqual(await names({ minAge: "2d" }), ["old"]);
  assert.deepEqual(await names({ maxAge: "36h" }), ["young"]);
  assert.deepEqual(await names({ minAge: "9999999w" }), []);
  assert.deepEqual(
    await names({
      tags: [
        ["owner", "us"],
        ["why", "test"],
      ],
    }),
    ["old"],
  );
  assert.deepEqual(await names({ nameContains: "oun" }), ["young"]);
  assert.deepEqual(await names({ succeeded: "false" }), ["young"]);
  assert.deepEqual(await sessions.removeWhere({ status: "complete" }), ["young"]);
  assert.equal(await sessions.remove("old"), true);
  assert.equal(await sessions.remove("old"), false);
  restore();
});

test("a session of images starts a build for each, follows them, and says what came of them", async () => {
  const sessions = await openSessions();
  const started: string[][] = [];
  const builds = new Map<string, Awaited<ReturnType<ImageSessionPorts["outcomeOf"]>>>();
  let busy = true;
  const ports: ImageSessionPorts = {
    sessions,
    makeJob: () => "cfs-job",
    startImage: async (image, session) => {
      const name = resultName(image, session, "base");
      if (name !== "made" && busy) throw new NetkilnError("conflict", "another build has that name");
      started.push([name, ...image.groups]);
      builds.set(name, { kind: "running" });
      return { kind: "build", build: name };
    },
    outcomeOf: async (build) => builds.get(build) ?? { kind: "failed", error: "gone" },
  };
  const step = async () => {
    await advanceImageSession((await sessions.find("one")) ?? assert.fail(), ports);
    return (await sessions.find("one")) ?? assert.fail();
  };
  await sessions.create(request("one", { target: images }));
  let session = await step();
  assert.deepEqual(
    [session.status, session.succeeded, session.job, session.imsJob],
    ["running", "none", "cfs-job", "made"],
  );
  assert.deepEqual(started, [["made", "Compute", "Application"]], "the other waits for its name");
  busy = false;
  await step();
  assert.deepEqual(started.at(-1), ["base_cfs_one", "Compute"]);
  builds.set("made", { kind: "image", image: "result" });
  session = await step();
  assert.deepEqual([session.status, session.succeeded], ["running", "none"]);
  assert.deepEqual(session.artifacts, [{ imageId: first, resultId: "result", type: "ims_customized_image" }]);
  builds.set("base_cfs_one", { kind: "failed", error: "a play failed" });
  session = await step();
  assert.deepEqual([session.status, session.succeeded], ["complete", "false"]);
  assert.equal(session.images[1]?.error, "a play failed");
  assert.notEqual(session.completionTime, undefined);
});

test("a session is limited to layers by their names or places", () => {
  const layers = [{ ...layer, name: "one" }, layer, { ...layer, name: "three" }];
  assert.deepEqual(limitLayers(layers, ""), layers);
  assert.deepEqual(limitLayers(layers, "three, 1"), [layers[1], layers[2]]);
  assert.throws(() => limitLayers(layers, "four"), /no layer four/);
});
