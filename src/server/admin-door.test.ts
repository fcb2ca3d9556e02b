import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Role } from "../access/index.ts";
import { plantAdminDoor, type PlantedDoor } from "./plant-admin-door.ts";

let door: PlantedDoor;
let token: Record<Role, string>;
const password = "correct horse battery";
const realm = "/keycloak/realms/shasta";
const tokenUrl = `${realm}/protocol/openid-connect/token`;
const native = "/apis/netkiln/v1";
const components = "/hsm/v2/State/Components";

before(async () => {
  door = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")));
  const { tokens, accounts } = door.house;
  const make = async (role: Role) => (await tokens.create({ name: role, days: 1, role })).secret;
  token = { admin: await make("admin"), operator: await make("operator"), reader: await make("reader") };
  await accounts.create({ name: "alice", kind: "person", role: "operator", password });
});
after(() => door.close());

async function login(fields: Record<string, string>, headers: Record<string, string> = {}) {
  const payload = new URLSearchParams(fields).toString();
  const type = "application/x-www-form-urlencoded;charset=UTF-8";
  return door.ask("POST", tokenUrl, { payload, headers: { "content-type": type, ...headers } });
}

describe("the token endpoint", () => {
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
  const fields = { grant_type: "password", username: "alice", password };

  test("gives tokens as `cray auth login` and sat ask for them", async () => {
    // oauthlib sends the client as the user of HTTP Basic, without a secret; curl in scripts sends it in the form.
    for (const { status, headers, body } of [
      await login(fields, basic("shasta:")),
      await login({ ...fields, client_id: "shasta" }),
      await login({ ...fields, client_id: "shasta" }, basic("shasta:")),
    ]) {
      assert.equal(status, 200);
      assert.equal(headers["cache-control"], "no-store");
      const { access_token, refresh_token, ...rest } = body;
      assert.deepEqual(rest, {
        expires_in: 86_400,
        refresh_expires_in: 2_592_000,
        token_type: "Bearer",
        "not-before-policy": 0,
      });
      assert.equal((await door.ask("GET", `${native}/images`, { token: access_token })).status, 200);
      assert.equal((await door.ask("GET", `${native}/images`, { token: refresh_token })).status, 401);
      const renewed = await login({ grant_type: "refresh_token", refresh_token, client_id: "shasta" });
      assert.equal((await door.ask("GET", components, { token: renewed.body.access_token })).status, 200);
    }
  });

  test("gives tokens to services, as scripts for CSM ask for them", async () => {
    const payload = { name: "admin-client", kind: "service", role: "admin" };
    const made = await door.ask("POST", `${native}/accounts`, { token: token.admin, payload });
    assert.equal(made.status, 201);
    const client = { client_id: "admin-client", client_secret: made.body.secret as string };
    const { status, body } = await login({ grant_type: "client_credentials", ...client });
    assert.equal(status, 200);
    assert.equal("refresh_token" in body, false);
    assert.equal((await door.ask("GET", `${native}/accounts`, { token: body.access_token })).status, 200);
    await door.ask("DELETE", `${native}/accounts/admin-client`, { token: token.admin });
    const after = await door.ask("GET", `${native}/accounts`, { token: body.access_token });
    assert.deepEqual([after.status, after.body.title], [401, "Unauthorized"], "its tokens end with it");
  });

  test("refuses in the words of OAuth", async () => {
    const wrong = await login({ ...fields, client_id: "shasta", password: "wrong" });
    assert.equal(wrong.status, 401);
    assert.deepEqual(wrong.body, { error: "invalid_grant", error_description: "Invalid user credentials" });
    const repeated = await door.ask("POST", tokenUrl, {
      payload: "grant_type=password&grant_type=password",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.deepEqual([repeated.status, repeated.body.error], [400, "invalid_request"]);
    const two = await login({ ...fields, client_id: "other" }, basic("shasta:"));
    assert.deepEqual([two.status, two.body.error], [400, "invalid_request"]);
    const json = await door.ask("POST", tokenUrl, { payload: fields });
    assert.deepEqual([json.status, json.body.error], [415, "invalid_request"]);
    const large = await login({ ...fields, password: "x".repeat(20_000) });
    assert.deepEqual([large.status, large.body.error], [413, "invalid_request"]);
    const empty = await door.ask("POST", tokenUrl);
    assert.deepEqual([empty.status, empty.body.error], [400, "invalid_request"]);
  });

  test("says what it is", async () => {
    const { body } = await door.ask("GET", `${realm}/.well-known/openid-configuration`);
    assert.equal(body.issuer, `https://admin.example.org${realm}`);
    assert.equal(body.token_endpoint, `https://admin.example.org${tokenUrl}`);
    const { pathname } = new URL(body.jwks_uri);
    assert.equal((await door.ask("GET", pathname)).body.keys[0].alg, "RS256");
  });
});

describe("every service", () => {
  const places = [`${native}/images`, components, "/apis/ims/v3/images", "/apis/cfs/v3/configurations", "/nowhere"];

  test("wants a valid token, and says so", async () => {
    for (const url of [...places, "/boot/v1/bootparameters", "/boot/v1/bootscript?name=x1c0s0b0n0"]) {
      for (const [given, challenge] of [
        [undefined, 'Bearer realm="netkiln"'],
        ["Bearer wrong", 'Bearer realm="netkiln", error="invalid_token"'],
        ["Bearer a.b.c", 'Bearer realm="netkiln", error="invalid_token"'],
        [`Basic ${token.admin}`, 'Bearer realm="netkiln", error="invalid_token"'],
      ] as const) {
        const headers = given === undefined ? {} : { authorization: given };
        const found = await door.ask("GET", url, { headers });
        assert.equal(found.status, 401, `${url} with ${given}`);
        assert.equal(found.headers["www-authenticate"], challenge);
        assert.ok(typeof found.body.title === "string" && typeof found.body.detail === "string");
      }
    }
  });

  test("lets readers read and operators work", async () => {
    for (const url of places.slice(0, -1))
      assert.equal((await door.ask("GET", url, { token: token.reader })).status, 200);
    const create = { payload: { xnames: [] } };
    const refused = await door.ask("POST", "/hsm/v2/groups", { token: token.reader, payload: { label: "gpu" } });
    assert.equal(refused.status, 403);
    assert.equal(refused.body.detail, "token reader has the role reader, and this needs the role operator");
    assert.equal(refused.headers["www-authenticate"], 'Bearer realm="netkiln", error="insufficient_scope"');
    assert.equal((await door.ask("GET", "/hsm/v2/groups/gpu", { token: token.reader })).status, 404, "nothing changed");
    const made = await door.ask("POST", "/hsm/v2/groups", { token: token.operator, payload: { label: "gpu" } });
    assert.equal(made.status, 201);
    const status = { token: token.reader, payload: { ComponentIDs: [] } };
    assert.notEqual((await door.ask("POST", "/hsm/v2/locks/status", status)).status, 403);
    for (const url of [`${native}/accounts`, `${native}/tokens`, `${native}/%61ccounts`, `${native}/certificate`]) {
      assert.equal((await door.ask("GET", url, { token: token.operator, ...create })).status, 403, url);
    }
  });

  test("takes an operator's account for what it is now", async () => {
    await door.house.accounts.create({ name: "carol", kind: "person", role: "reader", password });
    const { body } = await login({ grant_type: "password", client_id: "shasta", username: "carol", password });
    const bearer = { token: body.access_token as string };
    assert.equal((await door.ask("GET", components, bearer)).status, 200);
    assert.equal((await door.ask("POST", "/hsm/v2/groups", { ...bearer, payload: { label: "no" } })).status, 403);
    const setRole = (role: string) =>
      door.ask("PUT", `${native}/accounts/carol/role`, { token: token.admin, payload: { role } });
    assert.equal((await setRole("operator")).body.role, "operator");
    assert.equal((await door.ask("POST", "/hsm/v2/groups", { ...bearer, payload: { label: "yes" } })).status, 201);
    await setRole("reader");
    assert.equal((await door.ask("POST", "/hsm/v2/groups", { ...bearer, payload: { label: "no" } })).status, 403);
    assert.equal((await setRole("king")).status, 400);
    const own = await door.ask("PUT", `${native}/accounts/carol/role`, { ...bearer, payload: { role: "admin" } });
    assert.equal(own.status, 403, "nobody gives a role to themselves");
    const nobody = { token: token.admin, payload: { role: "reader" } };
    assert.equal((await door.ask("PUT", `${native}/accounts/nobody/role`, nobody)).status, 404);
    const payload = { password: "another password" };
    const change = await door.ask("PUT", `${native}/accounts/carol/password`, { token: token.admin, payload });
    assert.equal(change.status, 200);
    assert.equal((await door.ask("GET", components, bearer)).status, 401);
  });
});

test("lists that OpenCHAMI's clients read without a token are open where that is wanted", async (t) => {
  const open = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")), { openReads: true });
  t.after(() => open.close());
  for (const url of [components, "/hsm/v2/Inventory/EthernetInterfaces"]) {
    assert.equal((await open.ask("GET", url)).status, 200, url);
  }
  assert.equal((await open.ask("GET", "/boot/v1/bootscript?name=x1c0s0b0n0")).status, 404, "looked up");
  assert.equal((await open.ask("GET", components, { token: "wrong" })).status, 401, "a wrong token is told");
  for (const url of [`${components}/x1c0s0b0n0`, "/hsm/v2/groups", "/boot/v1/bootparameters"]) {
    assert.equal((await open.ask("GET", url)).status, 401, url);
  }
  assert.equal((await open.ask("POST", components, { payload: { Components: [] } })).status, 401);
});

test("on the socket, everybody is the administrator", async (t) => {
  const socket = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")), { requireToken: false });
  t.after(() => socket.close());
  const payload = { name: "dave", role: "admin", password };
  assert.equal((await socket.ask("POST", `${native}/accounts`, { payload })).status, 201);
  assert.equal((await socket.ask("GET", "/apis/cfs/v3/configurations", { tenant: "none" })).status, 400);
});

describe("accounts", () => {
  const post = (payload: object) => door.ask("POST", `${native}/accounts`, { token: token.admin, payload });

  test("are checked before they are made", async () => {
    for (const [payload, said] of [
      [{ name: "erin", role: "admin" }, /a person needs a password/],
      [{ name: "erin", role: "root", password }, /role/],
      [{ name: "erin", password: "short" }, /12 characters/],
      [{ name: "../erin", password }, /letters, digits/],
      [{ name: "shasta", kind: "service" }, /the client that all people log in by/],
      [{ name: "erin", password, tenant: "none" }, /there is no tenant/],
    ] as const) {
      const { status, body } = await post(payload);
      assert.equal(status, 400, JSON.stringify(payload));
      assert.match(JSON.stringify(body), said);
    }
    assert.equal((await post({ name: "alice", password })).status, 409);
    assert.equal((await door.ask("GET", `${native}/accounts/erin`, { token: token.admin })).status, 404);
  });

  test("tell neither passwords nor hashes", async () => {
    const { text, body } = await door.ask("GET", `${native}/accounts`, { token: token.admin });
    assert.equal(text.includes("scrypt"), false);
    assert.deepEqual(body.items.map(({ name }: { name: string }) => name).includes("alice"), true);
  });
});

describe("tenants", () => {
  const configurations = "/apis/cfs/v3/configurations";
  let blue: string;

  before(async () => {
    for (const name of ["blue", "red"]) {
      const made = await door.ask("POST", `${native}/tenants`, { token: token.admin, payload: { name } });
      assert.equal(made.status, 201);
    }
    const payload = { name: "of-blue", role: "operator", tenant: "blue" };
    blue = (await door.ask("POST", `${native}/tokens`, { token: token.admin, payload })).body.secret;
    for (const tenant of ["blue", "red"]) await door.house.configurations.put(tenant, { layers: [], tenant });
  });

  const names = (body: { configurations: { name: string }[] }) => body.configurations.map(({ name }) => name);

  test("see and change only what is theirs", async () => {
    assert.deepEqual(names((await door.ask("GET", configurations, { token: blue })).body), ["blue"]);
    assert.deepEqual(names((await door.ask("GET", configurations, { token: blue, tenant: "blue" })).body), ["blue"]);
    assert.deepEqual(names((await door.ask("GET", configurations, { token: token.reader, tenant: "red" })).body), [
      "red",
    ]);
    assert.deepEqual(names((await door.ask("GET", configurations, { token: token.reader })).body), ["blue", "red"]);
    assert.equal((await door.ask("GET", `${configurations}/red`, { token: blue })).status, 403);
    assert.equal((await door.ask("DELETE", `${configurations}/red`, { token: blue })).status, 403);
    assert.notEqual(await door.house.configurations.find("red"), undefined);
  });

  test("act for nobody else", async () => {
    const other = await door.ask("GET", configurations, { token: blue, tenant: "red" });
    assert.deepEqual([other.status, other.body.title], [403, "Forbidden"]);
    for (const url of [configurations, `${native}/images`, components]) {
      const unknown = await door.ask("GET", url, { token: token.admin, tenant: "green" });
      assert.deepEqual([unknown.status, unknown.body.detail], [400, 'there is no tenant "green"'], url);
    }
  });

  test("are refused where nothing keeps them apart, and not ignored", async () => {
    for (const url of [`${native}/images`, components, "/apis/ims/v3/images", "/apis/cfs/v3/options"]) {
      assert.equal((await door.ask("GET", url, { token: blue })).status, 403, url);
      assert.equal((await door.ask("GET", url, { token: token.admin, tenant: "blue" })).status, 403, url);
      assert.equal((await door.ask("GET", url, { token: token.admin, tenant: "" })).status, 200, url);
    }
    assert.equal((await door.ask("GET", "/apis/cfs/v3", { token: blue })).status, 200, "which is nobody's");
  });

  test("that are gone let nobody in", async () => {
    await door.ask("DELETE", `${native}/tenants/blue`, { token: token.admin });
    assert.equal((await door.ask("GET", configurations, { token: blue })).status, 400);
  });
});
