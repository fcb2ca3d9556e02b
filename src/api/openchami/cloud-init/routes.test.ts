import assert from "node:assert/strict";
import { after, test } from "node:test";
import { parse } from "yaml";
import type { OpenApiDocument } from "../../openapi/document.ts";
import { far, first, nat, openDoors, proxy, second, stranger } from "../../../../test/support/node-doors.ts";

async function open() {
  const doors = await openDoors();
  after(() => doors.close());
  return doors;
}

const template = "## template: jinja\n#cloud-config\nusers: {{ ds.meta_data.instance_data.v1.public_keys }}\n";
const base = "http://10.1.0.254:8077/cloud-init";
const nothing = { imageId: undefined, expectedBuildId: undefined };

test("what `ochami cloud-init` sends, as it goes over the wire", async () => {
  const { ask, admin } = await open();
  // defaults set, get; members that were not set come as Go has them, or not at all.
  const defaults = { "base-url": `${base}/`, "cluster-name": "demo", "nid-length": 3, "short-name": "nid" };
  assert.equal((await ask("POST", "/admin/cluster-defaults", defaults)).status, 201);
  assert.equal(
    (await ask("POST", "/admin/cluster-defaults", { "public-keys": ["ssh-ed25519 AAAA me"], region: "" })).status,
    201,
  );
  assert.deepEqual(JSON.parse((await ask("GET", "/admin/cluster-defaults")).body), {
    ...defaults,
    "base-url": base,
    "public-keys": ["ssh-ed25519 AAAA me"],
  });
  // group add, set, get, delete
  const compute = {
    name: "compute",
    description: "Nodes",
    file: { content: template, filename: "", encoding: "plain" },
  };
  const added = await ask("POST", "/admin/groups", compute);
  assert.deepEqual([added.status, added.headers["location"], added.body], [201, "/groups/compute", ""]);
  assert.equal((await ask("POST", "/admin/groups", compute)).status, 409);
  const gpu = {
    name: "gpu",
    "meta-data": { a: { b: 1 } },
    file: { content: btoa(template), filename: "gpu.yaml", encoding: "base64" },
  };
  assert.equal((await ask("PUT", "/admin/groups/gpu", gpu)).status, 201);
  assert.equal((await ask("PUT", "/admin/groups/gpu", gpu)).status, 201);
  assert.equal((await ask("POST", "/admin/groups", { name: "bare", file: { content: "", filename: "" } })).status, 201);
  assert.deepEqual(JSON.parse((await ask("GET", "/admin/groups")).body), {
    bare: { name: "bare", file: { content: "", filename: "", encoding: "plain" } },
    compute,
    gpu,
  });
  assert.deepEqual(JSON.parse((await ask("GET", "/admin/groups/gpu")).body), gpu);
  assert.equal((await ask("DELETE", "/admin/groups/bare")).status, 200);
  assert.equal((await ask("GET", "/admin/groups/bare")).status, 404);
  // node set, get
  assert.equal(
    (await ask("PUT", `/admin/instance-info/${first.xname}`, { id: first.xname, "local-hostname": "login1" })).status,
    201,
  );
  const below = `/admin/impersonation/${first.xname}`;
  const meta = await ask("GET", `${below}/meta-data`);
  assert.match(meta.type, /^application\/x-yaml/);
  const data = parse(meta.body);
  assert.deepEqual([data["local-hostname"], data["hostname"], data["cluster-name"]], ["login1", "nid001", "demo"]);
  assert.deepEqual(data.instance_data.v1.public_keys, ["ssh-ed25519 AAAA me"]);
  assert.deepEqual(data.instance_data.v1.vendor_data.groups.gpu, { Description: "No description Found", a: { b: 1 } });
  assert.equal((await ask("GET", `${below}/user-data`)).body, "#cloud-config\n");
  assert.equal((await ask("GET", `${below}/vendor-data`)).body, `#include\n${base}/compute.yaml\n${base}/gpu.yaml\n`);
  // node get group, group render
  for (const group of ["compute", "gpu"]) assert.equal((await ask("GET", `${below}/${group}.yaml`)).body, template);
  // service status, version: without a token
  assert.equal((await admin.inject("/cloud-init/version")).statusCode, 200);
});

test("the document of the service has what its door serves, below its base, with what it takes", async () => {
  const { admin, nodeDoor } = await open();
  for (const [door, asks] of [
    [admin, true],
    [nodeDoor, false],
  ] as const) {
    const { statusCode, body } = await door.inject("/cloud-init/openapi.json");
    assert.equal(statusCode, 200);
    const { servers, paths, components } = JSON.parse(body) as OpenApiDocument;
    assert.deepEqual(servers, [{ url: "/cloud-init" }]);
    for (const path of ["/meta-data", "/{group}.yaml", "/phone-home/{id}", "/version", "/openapi.json", "/wg-init"]) {
      assert.ok(paths[path], path);
    }
    assert.equal("/admin/groups/{name}" in paths, asks);
    const needToken = Object.values(paths).flatMap((methods) => Object.values(methods).flatMap((one) => one.security));
    assert.equal(needToken.length > 0, asks, "the node door lets everybody in");
    assert.ok(Object.keys(paths).every((path) => !path.startsWith("/cloud-init")));
    const { requestBody } = paths["/phone-home/{id}"]?.["post"] ?? {};
    const { $ref = "" } = requestBody?.content["application/json"]?.schema ?? {};
    assert.ok(components.schemas[String($ref).split("/").at(-1) ?? ""], body);
  }
});

test("mistakes are told with the documented codes, and change nothing", async () => {
  const { ask } = await open();
  const cases = [
    ["POST", "/admin/cluster-defaults", "{", 400],
    ["POST", "/admin/cluster-defaults", { "nid-length": 99 }, 400],
    ["POST", "/admin/cluster-defaults", { "base-url": "http://a/\nhttp://evil/x.yaml" }, 400],
    ["POST", "/admin/cluster-defaults", { "base-url": "file:///etc" }, 400],
    ["POST", "/admin/cluster-defaults", { "public-keys": "ssh-ed25519 AAAA" }, 400],
    ["POST", "/admin/cluster-defaults", undefined, 400],
    ["POST", "/admin/groups", "{", 422],
    ["POST", "/admin/groups", undefined, 422],
    ["POST", "/admin/groups", { description: "nameless" }, 422],
    ["POST", "/admin/groups", { name: "a", file: { content: "%%", encoding: "base64" } }, 422],
    ["POST", "/admin/groups", { name: "a", file: { content: "x", encoding: "rot13" } }, 422],
    ["PUT", "/admin/groups/a", { name: "b" }, 422],
    ["PUT", `/admin/instance-info/${first.xname}`, "[", 400],
    ["PUT", `/admin/instance-info/${first.xname}`, { id: second.xname }, 400],
    ["PUT", `/admin/instance-info/${first.xname}`, { hostname: "a b" }, 400],
    ["PUT", "/admin/instance-info/x1000c0", {}, 400],
    ["PUT", "/admin/instance-info/..%2f..", {}, 400],
    ["GET", "/admin/impersonation/x9c9s9b9n9/meta-data", undefined, 404],
    ["GET", "/admin/impersonation/x9c9s9b9n9/compute.yaml", undefined, 404],
    ["GET", `/admin/impersonation/${first.xname}/login.yaml`, undefined, 404],
  ] as const;
  for (const [method, path, body, status] of cases) {
    const answer = await ask(method, path, body);
    assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}: ${answer.body}`);
    const { title, detail } = JSON.parse(answer.body) as { title?: string; detail?: string };
    assert.ok(title && detail, answer.body);
  }
  assert.equal((await ask("GET", "/admin/cluster-defaults")).body, "{}");
  assert.equal((await ask("GET", "/admin/groups")).body, "{}");
});

test("names of groups that are paths are refused, or name no group", async () => {
  const { ask, from } = await open();
  for (const name of ["../etc", "..", "a/b", "a b", "a\n- b", "%2e%2e", ""]) {
    assert.equal((await ask("POST", "/admin/groups", { name })).status, 422, name);
    // Two dots go with the word before them, as in any link.
    const status = name === ".." ? 404 : 422;
    const path = `/admin/groups/${encodeURIComponent(name)}`;
    assert.equal((await ask("PUT", path, { name })).status, status, name);
    assert.equal((await ask("DELETE", path)).status, status, name);
  }
  for (const path of [
    "..%2f..%2fetc%2fpasswd.yaml",
    "%2e%2e.yaml",
    "compute%00.yaml",
    ".yaml",
    "compute.yaml%2f..%2flogin.yaml",
    "COMPUTE.yaml",
  ]) {
    assert.equal((await from(first.ip, `/cloud-init/${path}`)).status, 404, path);
  }
});

test("a node gets its own, by its address, and no other node's", async () => {
  const { ask, from } = await open();
  await ask("PUT", "/admin/groups/login", {
    name: "login",
    file: { content: "#cloud-config\na: 1\n", encoding: "plain" },
  });
  const meta = await from(first.ip, "/cloud-init/meta-data");
  assert.equal(parse(meta.body).instance_data.v1.local_ipv4, first.ip);
  assert.equal((await from(first.ip, "/cloud-init/meta-data")).body, meta.body, "and the same again");
  assert.equal((await from(first.ip, "/cloud-init/user-data")).body, "#cloud-config\n");
  assert.equal((await from(second.ip, "/cloud-init/vendor-data")).body, `#include\n${base}/login.yaml\n`);
  assert.equal((await from(second.ip, "/cloud-init/login.yaml")).body, "#cloud-config\na: 1\n");
  // A group of its own of which nothing is said, and one that is not its own.
  assert.equal((await from(first.ip, "/cloud-init/compute.yaml")).body, "#cloud-config\n");
  assert.equal((await from(first.ip, "/cloud-init/login.yaml")).status, 404);
  for (const path of ["meta-data", "vendor-data", "login.yaml"]) {
    const { status, body } = await from(stranger, `/cloud-init/${path}`);
    assert.deepEqual([status, /no node of the inventory has the address 10\.9\.9\.9/.test(body)], [422, true]);
  }
});

test("what operators do is not at the node door, and not without a token", async () => {
  const { admin, from } = await open();
  const below = `/cloud-init/admin/impersonation/${second.xname}`;
  const paths = [
    "/cloud-init/admin/groups",
    "/cloud-init/admin/cluster-defaults",
    `${below}/meta-data`,
    `${below}/login.yaml`,
  ];
  for (const url of paths) {
    assert.equal((await from(first.ip, url)).status, 404, url);
    for (const authorization of [undefined, "Bearer bad", "good"]) {
      const { statusCode } = await admin.inject({ url, ...(authorization && { headers: { authorization } }) });
      assert.equal(statusCode, 401, url);
    }
  }
  // A node's own is there too, by its address, as at OpenCHAMI's gateway.
  const own = await admin.inject({ url: "/cloud-init/meta-data", remoteAddress: first.ip });
  assert.equal(parse(own.body).instance_data.v1.local_ipv4, first.ip);
  assert.equal((await admin.inject({ url: "/cloud-init/meta-data", remoteAddress: stranger })).statusCode, 422);
});

test("a forwarded-for header counts only from a trusted proxy, and then only what the proxy has seen itself", async () => {
  const { from, admin } = await open();
  const ipOf = async (address: string, forwarded: string) => {
    const headers = {
      host: "10.1.0.254:8077",
      "x-forwarded-for": forwarded,
      "x-real-ip": second.ip,
      forwarded: `for=${second.ip}`,
    };
    const { status, body } = await from(address, "/cloud-init/meta-data", { headers });
    return status === 200 ? parse(body).instance_data.v1.local_ipv4 : status;
  };
  assert.equal(await ipOf(first.ip, second.ip), first.ip);
  assert.equal(await ipOf(first.ip, `${second.ip}, ${proxy}`), first.ip);
  assert.equal(await ipOf(stranger, second.ip), 422);
  assert.equal(await ipOf(proxy, first.ip), first.ip);
  // The node behind the proxy put the second one's address in front.
  assert.equal(await ipOf(proxy, `${second.ip}, ${first.ip}`), first.ip);
  for (const odd of ["unknown", "", `${first.ip}:80`, "a".repeat(5000)]) assert.equal(await ipOf(proxy, odd), 422, odd);
  const headers = { "x-forwarded-for": second.ip };
  const own = await admin.inject({ url: "/cloud-init/meta-data", remoteAddress: first.ip, headers });
  assert.equal(parse(own.body).instance_data.v1.local_ipv4, first.ip);
});

test("a node whose address says nothing shows its boot's token", async () => {
  const { ask, from, boots, identities } = await open();
  await ask("PUT", "/admin/groups/compute", {
    name: "compute",
    file: { content: "#cloud-config\na: 1\n", encoding: "plain" },
  });
  const boot = await boots.begin(first.xname, nothing);
  const token = (await identities.tokenFor(first.xname, boot.id, nat)) ?? "";
  const below = `/cloud-init/boots/${token}`;
  const mine = `${base}/boots/${token}`;
  for (const address of [nat, stranger, second.ip]) {
    assert.equal(
      (await from(address, `${below}/vendor-data`)).body,
      `#include\n${mine}/compute.yaml\n${mine}/gpu.yaml\n`,
    );
    assert.equal((await from(address, `${below}/compute.yaml`)).body, "#cloud-config\na: 1\n");
    const { v1 } = parse((await from(address, `${below}/meta-data`)).body).instance_data;
    assert.deepEqual([v1.vendor_data.nid, v1.vendor_data.cloud_init_base_url], [1, mine]);
  }
  // Neither the boot's id nor an address with a bad token is one.
  for (const bad of [boot.id, `${boot.id}-${"0".repeat(32)}`, "x", token.toUpperCase()]) {
    for (const path of ["meta-data", "vendor-data", "compute.yaml"]) {
      const { status, body } = await from(first.ip, `/cloud-init/boots/${bad}/${path}`);
      assert.equal(status, 404);
      assert.ok(!body.includes(token));
    }
  }
});

test("a node that calls home is heard, once for each boot and thing said", async () => {
  const { from, events, boots } = await open();
  const call = (address: string, payload: string, id = "i-1") =>
    from(address, `/cloud-init/phone-home/${id}`, {
      method: "POST",
      headers: { host: "h", "content-type": "application/x-www-form-urlencoded" },
      payload,
    });
  const form = "pub_key_ed25519=ssh-ed25519+AAAA&instance_id=i-1&hostname=nid001&fqdn=nid001.demo&more=x";
  assert.equal((await call(first.ip, form)).status, 200);
  assert.equal((await call(first.ip, form)).status, 200);
  const boot = await boots.begin(first.xname, nothing);
  assert.equal((await call(first.ip, form, first.xname)).status, 200);
  assert.equal((await call(first.ip, form, second.xname)).status, 400);
  assert.equal((await call(stranger, form)).status, 422);
  for (const bad of ["", "more=x", "{", `hostname=${"x".repeat(20_000)}`])
    assert.equal((await call(first.ip, bad)).status, 400, bad);
  assert.equal((await call(first.ip, `hostname=${"x".repeat(70_000)}`)).status, 413);
  const said = { pub_key_ed25519: "ssh-ed25519 AAAA", instance_id: "i-1", hostname: "nid001", fqdn: "nid001.demo" };
  const heard = (await events.list({ subject: `node:${first.xname}`, limit: 10 })).filter(
    ({ kind }) => kind === "cloud-init.phone-home",
  );
  assert.deepEqual(
    heard.map(({ data }) => data),
    [said, { ...said, boot: boot.id }],
  );
  assert.deepEqual(await events.list({ subject: `node:${second.xname}`, limit: 10 }), []);
});

test("a node of which no address is known has none in its data", async () => {
  const { ask } = await open();
  const { body } = await ask("GET", `/admin/impersonation/${far.xname}/meta-data`);
  assert.equal("local_ipv4" in parse(body).instance_data.v1, false);
  assert.equal((await ask("GET", "/admin/impersonation/nobody/vendor-data")).body, "#include\n");
});

test("a tunnel is refused, with the reason", async () => {
  const { ask, from } = await open();
  const body = { public_key: "9NS6+NR0J38SZ9IlY9hBDLs6aBpNDhxHUHL8OTlNEDU=" };
  for (const answer of [
    await ask("POST", "/wg-init", body),
    await from(first.ip, "/cloud-init/wg-init", { method: "POST", payload: body }),
  ]) {
    assert.deepEqual([answer.status, /there is no WireGuard server here/.test(answer.body)], [400, true]);
  }
});
