import assert from "node:assert/strict";
import { after, test } from "node:test";
import { parse } from "yaml";
import { first, nat, openDoors, second, stranger } from "../../../../test/support/node-doors.ts";

async function open() {
  const doors = await openDoors();
  after(() => doors.close());
  return doors;
}

test("below the door's root, and where CSM has it, a node finds its own", async () => {
  const { from, put } = await open();
  await put(first.xname, { "meta-data": { rack: 7 }, "user-data": { runcmd: ["echo yes"] } });
  await put("Global", { "meta-data": { ntp: { servers: ["a"] } } });
  for (const base of ["", "/apis/bss"]) {
    const meta = await from(first.ip, `${base}/meta-data`);
    assert.match(meta.type, /^application\/json/);
    const data = JSON.parse(meta.body) as Record<string, unknown>;
    assert.deepEqual(
      [data["local-hostname"], data["shasta-role"], data["rack"], data["Global"]],
      [first.xname, "Worker", 7, { ntp: { servers: ["a"] } }],
    );
    const user = await from(first.ip, `${base}/user-data`);
    assert.match(user.type, /^text\/yaml/);
    assert.match(user.body, /^#cloud-config\n/);
    assert.deepEqual(parse(user.body), { runcmd: ["echo yes"], "local-hostname": first.xname });
  }
  assert.equal((await from(first.ip, "/vendor-data")).body, "#cloud-config\n");
  assert.equal(JSON.parse((await from(second.ip, "/meta-data")).body)["rack"], undefined);
});

test("one value is asked for by its path", async () => {
  const { from, put } = await open();
  await put("Global", { "meta-data": { ntp: { servers: ["a", "b"] } } });
  const ask = (key: string) => from(first.ip, `/meta-data?key=${encodeURIComponent(key)}`);
  assert.equal((await ask("Global.ntp.servers")).body, '["a","b"]');
  assert.equal((await ask("local-hostname")).body, `"${first.xname}"`);
  assert.equal((await ask("Global.ntp.pools")).status, 404);
  assert.equal((await ask("constructor.name")).status, 404);
  assert.equal((await ask("")).status, 400);
});

test("an unknown address gets what is for everybody, and a header does not make it known", async () => {
  const { from, put } = await open();
  await put(first.xname, { "meta-data": { secret: 1 }, "user-data": { secret: 1 } });
  await put("Default", { "meta-data": { from: "Default" }, "user-data": { from: "Default" } });
  const headers = { host: "h", "x-forwarded-for": first.ip };
  assert.deepEqual(JSON.parse((await from(stranger, "/meta-data", { headers })).body), {
    ...{ "instance-id": "default", from: "Default" },
    Global: {},
  });
  assert.deepEqual(parse((await from(stranger, "/user-data", { headers })).body), { from: "Default" });
  assert.equal(
    (await from(stranger, "/phone-home", { method: "POST", payload: { hostname: "x" }, headers })).status,
    404,
  );
});

test("behind a shared address a node shows its boot's token", async () => {
  const { from, put, boots, identities } = await open();
  await put(second.xname, { "user-data": { a: 1 } });
  const boot = await boots.begin(second.xname, { imageId: undefined, expectedBuildId: undefined });
  const token = await identities.tokenFor(second.xname, boot.id, nat);
  const { body } = await from(nat, `/boots/${token}/user-data`);
  assert.deepEqual(parse(body), { a: 1, "local-hostname": second.xname });
  assert.equal((await from(nat, `/boots/${token}/vendor-data`)).status, 200);
  assert.equal(JSON.parse((await from(nat, `/boots/${token}/meta-data?key=local-hostname`)).body), second.xname);
  // A bad token is no stranger, who would get Default.
  assert.equal((await from(nat, `/boots/${boot.id}/user-data`)).status, 404);
});

test("what a node says when it is done stands with its boot parameters", async () => {
  const { from, put, entries, events } = await open();
  await put(first.xname, { "user-data": { a: 1 } });
  const said = { hostname: "n1", instance_id: "i-1" };
  const post = (address: string, payload: object | string) =>
    from(address, "/apis/bss/phone-home", { method: "POST", payload, headers: { host: "h" } });
  const answer = await post(first.ip, said);
  const cloudInit = { "user-data": { a: 1 }, "phone-home": said };
  assert.deepEqual([answer.status, JSON.parse(answer.body)], [200, { hosts: [first.xname], "cloud-init": cloudInit }]);
  assert.deepEqual((await entries.get("host", first.xname))?.cloudInit, cloudInit);
  // As cloud-init itself sends it.
  assert.equal((await post(second.ip, "hostname=n2&instance_id=i-2")).status, 200);
  assert.equal(await entries.get("host", second.xname), undefined);
  assert.equal((await events.list({ subject: `node:${second.xname}`, limit: 9 })).length, 1);
  assert.equal((await post(first.ip, "{")).status, 400);
  assert.equal((await post(first.ip, { hostname: 7 })).status, 400);
});
