/** The real cloud-init reads what the real server gives: its datasource NoCloud, its parts and templates, its schema. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { send } from "../support/send.ts";
import { makeFolder, startServer, type TestServer } from "../support/server.ts";

const run = promisify(execFile);
/** Debian's own, for which cloud-init is installed. */
const python = "/usr/bin/python3";
const node = { xname: "x1000c0s0b0n0", nid: 7, groups: ["compute", "gpu"], interfaces: [{ mac: "525400000001" }] };
const other = { xname: "x1000c0s1b0n0", nid: 8, interfaces: [{ mac: "525400000002", ip: "127.0.0.1" }] };

let folder: string;
let server: TestServer;
let authorization: string;

before(async () => {
  folder = await makeFolder();
  const config = join(folder, "config.yaml");
  await writeFile(config, "trusted_proxies: [127.0.0.9]\n");
  server = await startServer({
    args: ["--no-worker", "--listen", "127.0.0.1:0"],
    environment: { NETKILN_CONFIG: config },
  });
  authorization = `Bearer ${(await server.json<{ secret: string }>("tokens", "create", "test")).secret}`;
  await put(`/apis/netkiln/v1/nodes/${node.xname}`, node);
  await put(`/apis/netkiln/v1/nodes/${other.xname}`, other);
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

async function put(path: string, body: object, method = "PUT"): Promise<void> {
  const { status, body: said } = await server.http(method, path, {
    type: "application/json",
    body: JSON.stringify(body),
  });
  assert.ok(status < 300, `${method} ${path}: ${status} ${said}`);
}

/** As ochami sends it: over TCP, with a token, and without a type. */
async function ochami(method: string, path: string, body?: object): Promise<{ status: number; body: string }> {
  return send({ url: server.admin ?? "" }, method, `/cloud-init${path}`, {
    ...{ headers: { authorization }, body: body === undefined ? "" : JSON.stringify(body) },
  });
}

/** The kernel's command line, as the node's boot script has it. */
async function commandLineOf(mac: string): Promise<string> {
  const { body } = await send({ url: server.nodeDoor }, "GET", `/boot/v1/bootscript?mac=${mac}`);
  return /^kernel --name kernel \S+ (.*) \|\| goto boot_retry$/m.exec(body)?.[1] ?? `no kernel in ${body}`;
}

/** What cloud-init makes of a command line: the meta-data, and all parts of user-data and vendor-data, fetched and rendered. */
const reader = `
import json, sys
from cloudinit import helpers, util, user_data
from cloudinit.handlers import jinja_template
from cloudinit.sources.DataSourceNoCloud import DataSourceNoCloudNet
paths = helpers.Paths({"cloud_dir": sys.argv[1], "run_dir": sys.argv[1]})
source = DataSourceNoCloudNet({"datasource": {"NoCloud": {"fs_label": None}}}, None, paths)
assert source._get_data(), "there is no data"
def parts(blob):
    found = []
    for part in user_data.UserDataProcessor(paths).process(blob).walk():
        if part.get_content_maintype() == "multipart":
            continue
        text = util.decode_binary(part.get_payload(decode=True))
        if text.startswith("## template: jinja"):
            text = jinja_template.render_jinja_payload(text, "part", {"ds": {"meta_data": source.metadata}})
        found.append([part.get_content_type(), text])
    return found
print(json.dumps({"md": source.metadata, "ud": parts(source.userdata_raw), "vd": parts(source.vendordata_raw)}))
`;

interface Seen {
  readonly md: Record<string, unknown>;
  readonly ud: readonly (readonly [type: string, text: string])[];
  readonly vd: readonly (readonly [type: string, text: string])[];
}

async function read(commandLine: string): Promise<Seen> {
  // Where cloud-init looks for another command line than that of the host.
  const env = { DEBUG_PROC_CMDLINE: commandLine };
  const { stdout } = await run(python, ["-c", reader, folder], { timeout: 60_000, env });
  return JSON.parse(stdout.split("\n").findLast((line) => line.startsWith("{")) ?? "") as Seen;
}

async function assertSchema(text: string): Promise<void> {
  const file = join(folder, "part.yaml");
  await writeFile(file, text);
  const { stdout, stderr } = await run("cloud-init", ["schema", "--config-file", file], { timeout: 60_000 });
  assert.match(stdout + stderr, /Valid cloud-config/);
}

const compute = `## template: jinja
#cloud-config
merge_how:
- name: list
  settings: [append]
- name: dict
  settings: [no_replace, recurse_list]
users:
  - name: root
    ssh_authorized_keys: {{ ds.meta_data.instance_data.v1.public_keys }}
hostname: {{ ds.meta_data.instance_data.v1.local_hostname }}
`;

test("a node's boot script leads the real cloud-init to the cloud-init objects of its boot parameters", async () => {
  const userData = {
    runcmd: ["echo on", ["true", "1:30"]],
    write_files: [{ path: "/etc/a", content: "x: yes\n# y\n" }],
  };
  await put("/boot/v1/bootparameters", {
    hosts: [node.xname],
    kernel: "http://127.0.0.1/kernel",
    "cloud-init": { "user-data": userData, "meta-data": { rack: "0123" } },
  });
  const seen = await read(await commandLineOf("52:54:00:00:00:01"));
  assert.equal(seen.md["local-hostname"], node.xname);
  assert.equal(seen.md["rack"], "0123");
  assert.match(String(seen.md["instance-id"]), /^x1000c0s0b0n0-/);
  assert.deepEqual(
    seen.ud.map(([type]) => type),
    ["text/cloud-config"],
  );
  assert.deepEqual(seen.vd, [["text/cloud-config", "#cloud-config\n"]]);
  const [, text] = seen.ud[0] ?? ["", ""];
  const { stdout } = await run(python, [
    "-c",
    "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))",
    text,
  ]);
  assert.deepEqual(JSON.parse(stdout), { ...userData, "local-hostname": node.xname });
  // local-hostname is the Boot Script Service's own addition, of which the schema knows nothing.
  await assertSchema(text.replace(/^"local-hostname":.*\n/m, ""));
});

test("and to the files of its groups, which it merges and renders itself", async () => {
  const defaults = {
    "cluster-name": "demo",
    "short-name": "nid",
    "nid-length": 3,
    "public-keys": ["ssh-ed25519 AAAA me"],
  };
  assert.equal((await ochami("POST", "/admin/cluster-defaults", defaults)).status, 201);
  const file = { content: btoa(compute), filename: "", encoding: "base64" };
  assert.equal((await ochami("POST", "/admin/groups", { name: "compute", file })).status, 201);
  await put("/boot/v1/bootparameters", {
    hosts: [node.xname],
    kernel: "http://127.0.0.1/kernel",
    params: `ds=nocloud-net;s=${server.nodeDoor}/cloud-init/\${NETKILN_SEED}`,
  });
  const commandLine = await commandLineOf("52:54:00:00:00:01");
  assert.match(commandLine, / ?ds=nocloud-net;s=\S+\/cloud-init\/boots\/[0-9a-f]{32}-[0-9a-f]{32}\/ /);
  const seen = await read(commandLine);
  assert.deepEqual([seen.md["local-hostname"], seen.md["cluster-name"]], ["nid007", "demo"]);
  assert.equal(seen.vd.length, 2, "one part for each group");
  const rendered = seen.vd.map(([, text]) => text).find((text) => text.includes("users:")) ?? "";
  assert.match(rendered, /ssh_authorized_keys: \['ssh-ed25519 AAAA me'\]\nhostname: nid007/);
  for (const [, text] of [...seen.ud, ...seen.vd]) {
    if (text.trim() !== "#cloud-config") await assertSchema(text.replace(/^## template.*\n/, ""));
  }
});

test("without a token it is the address that counts, and no header; and operators need a token of theirs", async () => {
  const { md } = await read(`ds=nocloud-net;s=${server.nodeDoor}/cloud-init/`);
  const { instance_data: data } = md as { instance_data: { v1: { vendor_data: { nid: number } } } };
  assert.equal(data.v1.vendor_data.nid, other.nid);
  const claimed = await fetch(`${server.nodeDoor}/cloud-init/meta-data`, {
    headers: { "x-forwarded-for": "10.0.0.1" },
  });
  assert.match(await claimed.text(), /^ *"nid": 8$/m);
  const path = `/cloud-init/admin/impersonation/${node.xname}/meta-data`;
  assert.equal((await fetch(`${server.admin}${path}`)).status, 401);
  assert.equal((await fetch(`${server.nodeDoor}${path}`, { headers: { authorization } })).status, 404);
  assert.equal((await ochami("GET", `/admin/impersonation/${node.xname}/meta-data`)).status, 200);
  assert.equal((await fetch(`${server.admin}/cloud-init/version`)).status, 200);
});
