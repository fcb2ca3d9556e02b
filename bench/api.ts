/**
 * The APIs of CSM and OpenCHAMI on a large site: how soon lists begin, filters, changes of many components, memory,
 * and boot scripts beside nginx with a file of the same size. Everything is put in over HTTP, as clients do it.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { startServer, waitUntil, type TestServer } from "../test/support/server.ts";
import { measureScripts } from "./boot-scripts.ts";
import { installMissing } from "./debian.ts";
import { round } from "./measure.ts";

const sizes = { components: 50_000, images: 5_000, entries: 10_000, groups: 50 };
/** Rows of a list that have to be there soon. */
const firstRows = 1000;
const repetitions = 5;
const changedAtOnce = 10_000;

const smd = "/apis/smd/hsm/v2";
const bss = "/apis/bss/boot/v1";

export async function bench(): Promise<void> {
  installMissing(["nginx-light", "wrk"]);
  // Debian starts it on all addresses; the one that is measured is started here.
  spawnSync("systemctl", ["disable", "--now", "nginx"], { stdio: "ignore" });
  const server = await startServer({ args: ["--no-worker", "--listen", "127.0.0.1:0"] });
  try {
    const { token } = await server
      .json<{ token?: string; secret: string }>("tokens", "create", "bench")
      .then(({ secret }) => ({ token: secret }));
    const api = clientOf(server, token);
    await fill(api);
    const lists = await measureLists(api);
    const filters = await measureFilters(api);
    const bulk = await measureBulk(api);
    const scripts = await measureScripts(server, { ...scriptNodes, change: () => putRoles(api) });
    const memory = peakMiB(server.pid);
    const line = {
      bench: "api",
      list_1000_ms: round(Math.max(...lists)),
      filter_ms: round(Math.max(...filters)),
      bulk_10000_s: round(Math.max(...bulk) / 1000),
      rss_mib: Math.round(memory),
      ...scripts,
    };
    console.log(`peak memory of the server: ${Math.round(memory)} MiB`);
    console.log(JSON.stringify(line));
  } finally {
    await server.stop();
  }
}

interface Api {
  /** Fails for any status but 2xx; returns the body. */
  send(method: string, path: string, body?: unknown): Promise<string>;
  /** Milliseconds until a list has sent so many rows, each of which holds `mark` once. */
  untilRows(path: string, mark: string, rows: number): Promise<number>;
}

function clientOf(server: TestServer, token: string): Api {
  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${server.admin}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${(await response.text()).slice(0, 500)}`);
    return response;
  };
  return {
    send: async (method, path, body) => (await ask(method, path, body)).text(),
    untilRows: async (path, mark, rows) => {
      const began = performance.now();
      const { body } = await ask("GET", path);
      const decoder = new TextDecoder();
      let seen = 0;
      let took: number | undefined;
      let rest = "";
      for await (const chunk of body ?? []) {
        rest += decoder.decode(chunk as Uint8Array, { stream: true });
        const parts = rest.split(mark);
        seen += parts.length - 1;
        // A mark that is cut in two is found with the next chunk.
        rest = (parts.at(-1) ?? "").slice(-mark.length + 1);
        if (seen >= rows) took ??= performance.now() - began;
      }
      if (took === undefined) throw new Error(`${path} has ${seen} rows, and not ${rows}`);
      return took;
    },
  };
}

const xnames = Array.from(
  { length: sizes.components },
  (_, n) =>
    `x${1000 + Math.floor(n / 512)}c${Math.floor(n / 64) % 8}s${Math.floor(n / 8) % 8}b${Math.floor(n / 4) % 2}n${n % 4}`,
);

const scriptNodes = {
  own: xnames.slice(0, sizes.entries),
  // Those that ask before the ones that are counted, so that it is not measured how soon Node compiles.
  ofRole: xnames.slice(sizes.entries, sizes.entries + 10_000),
  other: xnames.at(-1) ?? "",
};

async function fill(api: Api): Promise<void> {
  const began = performance.now();
  for (let from = 0; from < xnames.length; from += 5000) {
    const Components = xnames.slice(from, from + 5000).map((ID, index) => ({
      ...{ ID, Type: "Node", State: "Ready", Enabled: true, Arch: "X86" },
      ...{ Role: (from + index) % 100 === 0 ? "Application" : "Compute", NID: from + index + 1 },
    }));
    await api.send("POST", `${smd}/State/Components`, { Components });
  }
  const perGroup = xnames.length / sizes.groups;
  for (let group = 0; group < sizes.groups; group += 1) {
    const ids = xnames.slice(group * perGroup, (group + 1) * perGroup);
    await api.send("POST", `${smd}/groups`, { label: `rack${group}`, description: "", members: { ids } });
  }
  await inTurns(sizes.images, 16, (n) => api.send("POST", "/apis/ims/v3/images", { name: `image-${n}` }));
  const together = 10;
  await inTurns(sizes.entries / together, 4, (n) =>
    api.send("PUT", `${bss}/bootparameters`, {
      hosts: xnames.slice(n * together, (n + 1) * together),
      kernel: `http://127.0.0.1/images/${n}/kernel`,
      initrd: `http://127.0.0.1/images/${n}/initrd`,
      params: `console=ttyS0,115200 ip=dhcp root=live:http://127.0.0.1/images/${n}/rootfs rd.number=${n}`,
    }),
  );
  await putRoles(api);
  // CFS takes its components over from the inventory by and by.
  const last = `/apis/cfs/v3/components/${xnames.at(-1)}`;
  await waitUntil(120, () => api.send("GET", last).then(Boolean, () => false));
  console.log(`filled over HTTP in ${round((performance.now() - began) / 1000)} s: ${JSON.stringify(sizes)}`);
}

async function putRoles(api: Api): Promise<void> {
  await api.send("PUT", `${bss}/bootparameters`, {
    hosts: ["Compute", "Application"],
    kernel: "http://127.0.0.1/images/role/kernel",
    initrd: "http://127.0.0.1/images/role/initrd",
    params: "console=ttyS0,115200 ip=dhcp root=live:http://127.0.0.1/images/role/rootfs",
  });
}

async function inTurns(count: number, atOnce: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const take = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, take));
}

/** Lists of which the first thousand rows are waited for: their path, and what each row holds once. */
const lists: readonly (readonly [path: string, mark: string])[] = [
  [`${smd}/State/Components`, '"ID":'],
  [`${smd}/memberships`, '"id":'],
  [`${bss}/bootparameters`, '"kernel":'],
  ["/apis/ims/v3/images", '"id":'],
  ["/apis/bos/v2/components", '"last_action":'],
  ["/apis/cfs/v3/components", '"id":'],
  ["/apis/netkiln/v1/nodes?limit=1000", '"xname":'],
];

async function measureLists(api: Api): Promise<number[]> {
  return measureAll("first 1,000 rows", lists, ([path, mark]) => api.untilRows(path, mark, firstRows));
}

const filters: readonly (readonly [path: string])[] = [
  [`${smd}/State/Components?nid=4711`],
  [`${smd}/State/Components?id=${xnames[4711] ?? ""}`],
  [`${smd}/State/Components?role=Application&state=Ready`],
  [`${smd}/State/Components?group=rack7&role=Application`],
  [`${smd}/State/Components?type=Node&enabled=false`],
  [`/apis/bos/v2/components?ids=${xnames.slice(0, 20).join(",")}`],
  [`${bss}/bootparameters?name=${xnames[4711] ?? ""}`],
];

async function measureFilters(api: Api): Promise<number[]> {
  return measureAll("filter", filters, async ([path]) => timed(() => api.send("GET", path)));
}

async function measureBulk(api: Api): Promise<number[]> {
  const ids = xnames.slice(0, changedAtOnce);
  const changes: readonly (readonly [path: string, body: (turn: number) => unknown])[] = [
    [`${smd}/State/Components/BulkStateData`, (turn) => ({ ComponentIDs: ids, State: turn % 2 ? "Ready" : "On" })],
    ["/apis/bos/v2/components", (turn) => ids.map((id) => ({ id, retry_policy: turn + 1 }))],
    ["/apis/cfs/v3/components", (turn) => ids.map((id) => ({ id, retry_policy: turn + 1 }))],
  ];
  let turn = 0;
  return measureAll("10,000 components changed", changes, ([path, body]) =>
    timed(() => api.send("PATCH", path, body((turn += 1)))),
  );
}

async function measureAll<Case extends readonly [string, ...unknown[]]>(
  what: string,
  cases: readonly Case[],
  once: (one: Case) => Promise<number>,
): Promise<number[]> {
  const medians: number[] = [];
  for (const one of cases) {
    const all: number[] = [];
    for (let index = 0; index < repetitions; index += 1) all.push(await once(one));
    all.sort((a, b) => a - b);
    const middle = all[Math.floor(repetitions / 2)] as number;
    console.log(`${what.padEnd(28)} ${one[0].slice(0, 70).padEnd(72)} ${middle.toFixed(1).padStart(8)} ms`);
    medians.push(middle);
  }
  return medians;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** The most that it had in memory so far (VmHWM of proc_pid_status(5)). */
function peakMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}
