/** The Boot Script Service of CSM and that of OpenCHAMI against their contracts, and as their clients call them. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import fastify, { type FastifyInstance } from "fastify";
import { bssService } from "../../src/api/csm/bss/routes.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import { plantImage } from "../../src/image/plant-image.ts";
import { parseNode } from "../../src/node/index.ts";
import { readConfig } from "../../src/server/config.ts";
import { openHouse, type House } from "../../src/server/open.ts";
import { makeFolder } from "../support/server.ts";
import { contractFile, readContract } from "./support/contract.ts";
import { openTrial, type Trial } from "./support/trial.ts";

const xname = "x1c0s0b0n0";
const imageId = "0f8fad5b-d9cb-469f-a165-70867728950e";
const mac = "aa:bb:cc:dd:ee:ff";
const parameters = "/boot/v1/bootparameters";

async function openService(): Promise<{ house: House; app: FastifyInstance; close(): Promise<void> }> {
  const house = await openHouse(readConfig({ data: await makeFolder() }, { NETKILN_CONFIG: undefined }));
  const app = fastify();
  answerProblems(app);
  const parts = { ...house, door: () => "10.0.0.1" };
  registerService(app, bssService(parts));
  registerService(app, bssService(parts, "openchami"));
  await house.nodes.put(parseNode({ xname, nid: 1, interfaces: [{ mac }] }));
  await house.images.publish(plantImage(imageId, "compute"));
  const close = async () => {
    await app.close();
    await house.accesses.flush();
    await house.db.destroy();
  };
  return { house, app, close };
}

const contracts = [
  { name: "CSM", file: "bss-v1.swagger.yaml", base: "/apis/bss", storage: "GET /boot/v1/service/etcd" },
  {
    ...{ name: "OpenCHAMI", file: "openchami-bss.swagger.yaml", base: "" },
    storage: "GET /boot/v1/service/storage/status",
  },
] as const;

for (const { name, file, base, storage } of contracts) {
  const skip = existsSync(contractFile(file)) ? false : "the contract's file is not here";
  describe(`the Boot Script Service of ${name}`, { skip }, () => {
    let service: Awaited<ReturnType<typeof openService>>;
    let trial: Trial;

    before(async () => {
      service = await openService();
      trial = openTrial(service.app, base, readContract(file));
    });
    after(() => service.close());

    test("boot parameters", async () => {
      const body = { hosts: [xname], kernel: "http://s/kernel", initrd: "http://s/initrd", params: "quiet" };
      assert.deepEqual(await trial.ask(`GET ${parameters}`, 200), []);
      await trial.ask(`POST ${parameters}`, 201, { body });
      for (const bad of [body, { macs: [mac.toUpperCase()], kernel: "http://k" }, { nids: [1] }]) {
        await trial.ask(`POST ${parameters}`, 400, { body: bad });
      }
      for (const bad of ["{", "[]", "7", "null", { hosts: 1 }, { hosts: ["x1c0s0b0"] }, { hosts: ["../x"] }, {}]) {
        for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
          // A name of that form cannot be there, which is all that counts where nothing is written.
          const mayMiss = method === "DELETE" && typeof bad === "object" && Array.isArray(bad.hosts);
          await trial.ask(`${method} ${parameters}`, mayMiss ? 404 : 400, { body: bad });
        }
      }
      await trial.ask(`PUT ${parameters}`, 400, { body: { macs: ["aa:bb"], kernel: "http://k" } });
      await trial.ask(`PUT ${parameters}`, 400, { body: { ...body, params: "quiet || shell" } });
      const all = await trial.ask<object[]>(`GET ${parameters}`, 200);
      const files = [{ kernel: body.kernel }, { initrd: body.initrd }];
      assert.deepEqual(all, base === "" ? [body] : [...files, body], "nothing was changed");
      assert.deepEqual(await trial.ask(`GET ${parameters}`, 200, { query: { name: `x9c0s0b0n0,${xname}` } }), [body]);
      assert.deepEqual(await trial.ask(`GET ${parameters}`, 200, { query: { mac: ["x", mac.toUpperCase()] } }), [body]);
      assert.deepEqual(await trial.ask(`GET ${parameters}`, 200, { body: { nids: [1, 2] } }), [body]);
      assert.deepEqual(await trial.ask(`GET ${parameters}`, 200, { body: { kernel: body.kernel } }), [files[0]]);
      await trial.ask(`GET ${parameters}`, 404, { query: { name: "x9c0s0b0n0" } });
      await trial.ask(`GET ${parameters}`, 400, { query: { nid: "one" } });
      await trial.ask(`GET ${parameters}`, 400, { body: "{" });
      await trial.ask(`PUT ${parameters}`, 200, { body: { ...body, params: "loud" } });
      await trial.ask(`PATCH ${parameters}`, 200, { body: { hosts: [xname], params: "debug", kernel: "" } });
      await trial.ask(`PATCH ${parameters}`, 404, { body: { hosts: [xname, "x9c0s0b0n0"], params: "none" } });
      const [changed] = await trial.ask<object[]>(`GET ${parameters}`, 200, { query: { nid: "1" } });
      assert.deepEqual(changed, { ...body, params: "debug" });
      await trial.ask(`DELETE ${parameters}`, 404, { body: { hosts: [xname, "x9c0s0b0n0"] } });
      await trial.ask(`DELETE ${parameters}`, 200, { body: { macs: [mac] } });
      assert.deepEqual(await trial.ask(`GET ${parameters}`, 200), []);
    });

    test("kernels and initrds for themselves", async () => {
      const file = { kernel: "http://s/other", params: "with=kernel" };
      await trial.ask(`PATCH ${parameters}`, 404, { body: file });
      await trial.ask(`POST ${parameters}`, 201, { body: file });
      await trial.ask(`POST ${parameters}`, 400, { body: file });
      await trial.ask(`PUT ${parameters}`, 200, { body: { hosts: [xname, "Compute"], ...file, params: "" } });
      assert.match(await trial.ask("bootscript_get", 200, { query: { name: xname } }), / with=kernel xname=/);
      await trial.ask(`DELETE ${parameters}`, 404, { body: { kernel: "http://s/none" } });
      await trial.ask(`DELETE ${parameters}`, 200, { body: { kernel: file.kernel } });
      // CSM takes the kernel out of what names it, OpenCHAMI what names it.
      const left = await trial.ask<object[]>(`GET ${parameters}`, 200);
      assert.deepEqual(left, base === "" ? [] : [{ hosts: ["Compute"] }, { hosts: [xname] }]);
      if (base !== "") await trial.ask(`DELETE ${parameters}`, 200, { body: { hosts: ["Compute", xname] } });
    });

    test("boot scripts, and when they were fetched", async () => {
      const ask = (status: number, query: Record<string, string>) =>
        trial.ask<string>("bootscript_get", status, { query });
      await ask(400, {});
      await ask(400, { nid: "one" });
      await ask(404, { name: xname });
      await ask(404, { mac: "../../etc" });
      const image = `s3://boot-images/${imageId}/rootfs`;
      const body = {
        hosts: ["Default"],
        kernel: image,
        initrd: "tftp://10.0.0.1/initrd",
        params: `root=live:${image}`,
      };
      await trial.ask(`PUT ${parameters}`, 200, { body });
      const text = await ask(200, { mac: mac.toUpperCase().replaceAll(":", "-"), retry: "2", ts: "1", arch: "x86_64" });
      const bootif = base === "" ? " BOOTIF=01-aa-bb-cc-dd-ee-ff" : "";
      const door = "http://10.0.0.1";
      const token = /bss_referral_token=([0-9a-f-]{36}) /.exec(text)?.[1];
      assert.equal(
        text,
        `#!ipxe
kernel --name kernel ${door}/boot-images/${imageId}/rootfs initrd=initrd root=live:${door}/boot-images/${imageId}/rootfs xname=${xname} nid=1 bss_referral_token=${token}${bootif} ds=nocloud-net;s=${door}/ || goto boot_retry
initrd --name initrd tftp://10.0.0.1/initrd || goto boot_retry
imgstat || echo Could not show image information.
boot || goto boot_retry
:boot_retry
sleep 30
chain ${door}${base}/boot/v1/bootscript?mac=AA-BB-CC-DD-EE-FF&retry=3
`,
      );
      // What the contract describes is the script.
      const json = (await service.app.inject(`${base}/boot/v1/bootscript?nid=1&json=1`)).json<object>();
      assert.deepEqual(Object.keys(json).sort(), ["initrd", "kernel", "params"]);
      await trial.ask(`PUT ${parameters}`, 200, { body: { ...body, kernel: "s3://boot-images/gone/kernel" } });
      assert.match(JSON.stringify(await ask(404, { nid: "1" })), /leads to nothing: there is no image gone/);
      await trial.ask(`PUT ${parameters}`, 200, { body: { hosts: ["Unknown-x86_64"], kernel: "http://discover" } });
      assert.match(
        await ask(200, { mac: "02:00:00:00:00:01" }),
        /^#!ipxe\nchain \S+\?mac=02:\S+&arch=\$\{buildarch\}&ts=\d+\n$/,
      );
      assert.match(await ask(200, { mac: "02:00:00:00:00:01", arch: "x86_64" }), /kernel http:\/\/discover ds=/);
      await ask(404, { mac: "02:00:00:00:00:01", arch: "arm64" });

      const history = "GET /boot/v1/endpoint-history";
      const [seen, ...others] = await trial.ask<{ name: string; last_epoch: number }[]>(history, 200);
      assert.deepEqual([seen?.name, others], [xname, []]);
      assert.ok(Math.abs((seen?.last_epoch ?? 0) - Date.now() / 1000) < 60);
      assert.deepEqual(await trial.ask(history, 200, { query: { name: xname, endpoint: "user-data" } }), [
        { name: xname, endpoint: "user-data", last_epoch: 0 },
      ]);
      await trial.ask(history, 200, { query: { name: xname, endpoint: "bootscript" } });
    });

    test("hosts, state and health", async () => {
      const hosts = "GET /boot/v1/hosts";
      const [host] = await trial.ask<Record<string, unknown>[]>(hosts, 200);
      assert.deepEqual(
        [host?.["ID"], host?.["NID"], host?.["MAC"], host?.["EndpointEnabled"]],
        [xname, 1, [mac], true],
      );
      const query = { name: xname.toUpperCase(), mac: mac.toUpperCase(), nid: ["1", "1"] };
      assert.equal((await trial.ask<unknown[]>(hosts, 200, { query })).length, 4, "as often as it is named");
      const wrong = await service.app.inject(`${base}/boot/v1/hosts?name=${xname},x9c0s0b0n0`);
      assert.deepEqual([wrong.statusCode, wrong.json<{ title: string }>().title], [404, "Not Found"]);
      await trial.ask("POST /boot/v1/hosts", 204);
      const state = await trial.ask<{ Components: unknown[]; Params: unknown[] }>("GET /boot/v1/dumpstate", 200);
      assert.equal(state.Components.length, 1);
      assert.ok(state.Params.length > 0);
      for (const path of ["status", "hsm", "version", "status/all"]) {
        await trial.ask(`GET /boot/v1/service/${path}`, 200);
      }
      await trial.ask(storage, 200);
      const scn = await service.app.inject({
        method: "POST",
        url: `${base}/boot/v1/scn`,
        payload: '{"Components":["x"]}',
      });
      assert.equal(scn.statusCode, 200);
    });

    test("nothing of the contract was left out", () => {
      const elsewhere = ["meta_data_get", "user_data_get", "phone_home_post"];
      // These take nothing that could be wrong.
      const harmless = ["POST /boot/v1/hosts", "GET /boot/v1/dumpstate"];
      trial.assertAllTried([...elsewhere, ...harmless]);
    });
  });
}

describe("calls of the clients, as they go over the wire", () => {
  let service: Awaited<ReturnType<typeof openService>>;
  let url: URL;

  before(async () => {
    service = await openService();
    url = new URL(await service.app.listen({ port: 0, host: "127.0.0.1" }));
  });
  after(() => service.close());

  /** Nothing is sent but what is named: no content type, unless a header says one. */
  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; json: unknown; token: string | undefined }>((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const length = text === undefined ? {} : { "content-length": Buffer.byteLength(text) };
      const where = { host: url.hostname, port: url.port, method, path, headers: { ...headers, ...length } };
      const sent = request(where, (response) => {
        let answer = "";
        response.on("data", (chunk: Buffer) => (answer += String(chunk)));
        response.on("end", () => {
          const token = response.headers["bss-referral-token"] as string | undefined;
          const json: unknown = /json/.test(response.headers["content-type"] ?? "") ? JSON.parse(answer) : answer;
          resolve({ status: response.statusCode ?? 0, json, token });
        });
      });
      sent.on("error", reject).end(text);
    });

  test("ochami bss", async () => {
    const list = "/boot/v1/bootparameters";
    const empty = { "cloud-init": { "meta-data": null, "user-data": null, "phone-home": { fqdn: "" } } };
    const body = {
      macs: [mac.toUpperCase()],
      kernel: "http://k",
      initrd: "http://i",
      params: "root=live:http://a x=1",
      ...empty,
    };
    const headers = { "user-agent": "ochami/0.7.2", authorization: "Bearer x" };
    const added = await send("POST", list, body, headers);
    assert.equal(added.status, 201);
    assert.match(added.token ?? "", /^[0-9a-f]{8}-/);
    assert.equal((await send("PUT", list, body, headers)).status, 200);
    const query = `?mac=02:00:00:00:00:09&mac=${encodeURIComponent(mac.toUpperCase())}&name=x9c0s0b0n0`;
    const got = await send("GET", `${list}${query}`, undefined, headers);
    const [entry, ...others] = got.json as { macs: string[]; params: string }[];
    assert.deepEqual([entry?.macs, others], [[mac], []]);
    // `bss boot image set` puts back what it got, with another root.
    const params = entry?.params.replace("root=live:http://a", "root=live:http://b");
    assert.equal((await send("PUT", list, { ...entry, params }, headers)).status, 200);
    assert.equal((await send("PATCH", list, { macs: [mac], params: "y=2", ...empty }, headers)).status, 200);
    const script = await send("GET", `/boot/v1/bootscript?mac=${encodeURIComponent(mac)}&arch=x86_64&retry=1`);
    assert.match(String(script.json), /kernel http:\/\/k initrd=initrd y=2 xname=/);
    assert.equal((await send("DELETE", list, { macs: [mac.toUpperCase()] }, headers)).status, 200);
    assert.equal((await send("GET", `${list}${query}`, undefined, headers)).status, 404);
    for (const path of ["service/status", "service/status/all", "service/storage/status", "service/hsm"]) {
      assert.equal((await send("GET", `/boot/v1/${path}`, undefined, headers)).status, 200);
    }
    assert.equal((await send("GET", `/boot/v1/hosts?name=${xname}`, undefined, headers)).status, 200);
    const history = await send("GET", `/boot/v1/endpoint-history?name=${xname}&endpoint=bootscript`);
    assert.equal((history.json as unknown[]).length, 1);
  });

  test("cray bss", async () => {
    const list = "/apis/bss/boot/v1/bootparameters";
    const json = { "content-type": "application/json" };
    const body = { hosts: [xname, "Default"], kernel: `s3://boot-images/${imageId}/rootfs`, params: "console=ttyS0" };
    assert.equal((await send("POST", list, body, json)).status, 201);
    const listed = await send("GET", list, { hosts: [xname] }, json);
    assert.deepEqual(listed.json, [{ ...body, hosts: [xname] }]);
    const all = (await send("GET", list, undefined, json)).json as object[];
    assert.deepEqual(
      all.map((one) => Object.keys(one)[0]),
      ["kernel", "hosts", "hosts"],
    );
    assert.equal((await send("PATCH", list, { hosts: ["Default"], params: "quiet" }, json)).status, 200);
    assert.equal((await send("DELETE", list, { hosts: [xname, "Default"] }, json)).status, 200);
    assert.equal((await send("GET", "/apis/bss/boot/v1/bootscript?name=Default", undefined)).status, 404);
  });

  // OpenCHAMI's blog on booting Badger: ochami-cli bss --add-bootparams --payload bss.yaml, with this bss.yaml.
  test("ochami-cli of old", async () => {
    const payload = {
      macs: ["AA:BB:CC:DD:EE:FF"],
      initrd: "http://192.168.1.253:8080/alma/initramfs.img",
      kernel: "http://192.168.1.253:8080/alma/vmlinuz",
      params:
        "nomodeset ro ip=dhcp selinux=0 console=ttyS0,115200 ip6=off ochami_ci_url=http://10.1.0.3:8081/cloud-init/ ochami_ci_url_secure=http://10.1.0.3:8081/cloud-init-secure/ network-config=disabled rd.shell root=live:http://192.168.1.253:8080/alma/rootfs",
    };
    const headers = { "content-type": "application/json", "user-agent": "python-requests/2.32.3", accept: "*/*" };
    for (const bssUrl of ["/boot/v1", "/apis/bss/boot/v1"]) {
      const list = `${bssUrl}/bootparameters`;
      assert.equal((await send("POST", list, payload, headers)).status, 201);
      const got = await send("GET", list, undefined, headers);
      const entry = (got.json as { macs?: string[] }[]).find(({ macs }) => macs !== undefined);
      // It looks each address up among those that HSM gives, which are in lower case.
      assert.deepEqual(entry, { ...payload, macs: [mac] });
      const script = String((await send("GET", `${bssUrl}/bootscript?mac=${mac}`)).json);
      assert.ok(script.includes(`kernel --name kernel ${payload.kernel} initrd=initrd ${payload.params} xname=`));
      assert.equal((await send("PUT", list, payload, headers)).status, 200);
      assert.equal((await send("PATCH", list, payload, headers)).status, 200);
      // Older ones update by these two.
      assert.equal((await send("DELETE", list, payload, headers)).status, 200);
      assert.equal((await send("POST", list, payload, headers)).status, 201);
      assert.equal((await send("DELETE", list, payload, headers)).status, 200);
      assert.deepEqual((await send("GET", list, undefined, headers)).json, []);
    }
  });

  test("ten thousand entries are written at once, and listed as they are read", async () => {
    const hosts = Array.from({ length: 10_000 }, (_, index) => `x${1 + Math.floor(index / 64)}c0s${index % 64}b0n0`);
    const body = { hosts, kernel: "http://k", params: "quiet" };
    assert.equal((await send("PUT", "/apis/bss/boot/v1/bootparameters", body)).status, 200);
    const list = (await send("GET", "/boot/v1/bootparameters")).json as { hosts: string[] }[];
    assert.deepEqual(
      list.flatMap((entry) => entry.hosts),
      [...hosts].sort(),
    );
    assert.equal((await send("DELETE", "/boot/v1/bootparameters", { hosts })).status, 200);
  });
});
