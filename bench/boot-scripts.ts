import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestServer } from "../test/support/server.ts";
import { round, treeCpu } from "./measure.ts";
import { inFolder } from "./site.ts";

/** Nodes by their xnames. */
export interface ScriptNodes {
  /**
   * They have boot parameters of their own. These and `ofRole` are the first by xname, whose scripts the server works out
   * before they are asked for; how it is without, is the row `first right after a change`.
   */
  readonly own: readonly string[];
  /** They get those of their role. */
  readonly ofRole: readonly string[];
  /** None of these, and of its role; how large a script is, is seen at its. */
  readonly other: string;
  /** Changes something of which scripts are made. */
  readonly change: () => Promise<unknown>;
}

/** Node compiles what runs often, and it is not measured how soon. */
const warmingRounds = 5;
/** Everything is measured so often, and the median counts: others use the machine too. */
const rounds = 5;

const rows = {
  first: "first of each node",
  more: "more boots of each node",
  changed: "first right after a change",
  again: "the same node again",
  turns: "all nodes again, in turn",
  nginx: "nginx",
} as const;
type Row = keyof typeof rows;
type Round = Readonly<Record<Row, Load>>;

/**
 * Boot scripts of the node door; and nginx, with one process, that sends a file of the same size. As client and server
 * share the processors, what is compared is the processor time that the server takes for a request.
 */
export async function measureScripts(server: TestServer, { own, ofRole, other, change }: ScriptNodes) {
  const first = (name: string) => `/boot/v1/bootscript?name=${name}`;
  // A retry belongs to the boot before it: nothing is written for it.
  const again = (name: string) => `${first(name)}&retry=1`;
  const script = await (await fetch(`${server.nodeDoor}${first(other)}`)).text();
  const ahead: number[] = [];
  const all: Round[] = [];
  await inFolder(async (folder) => {
    const nginx = await startNginx(folder, script);
    const each = (nodes: readonly string[], path: (name: string) => string, rest: "repeat" | "stop") =>
      load(server.nodeDoor, server.pid, writeTurns(folder, shuffled(nodes).map(path), rest));
    /** So long that what is put in order behind boots, thousands at a time, is part of it. */
    const eachOften = (nodes: readonly string[]): Load => {
      const began = treeCpu(server.pid);
      const turns = Array.from({ length: bootsOfEach }, () => each(nodes, first, "stop"));
      const used = treeCpu(server.pid) - began;
      const [requests, seconds] = [sum(turns.map((one) => one.requests)), sum(turns.map((one) => one.seconds))];
      return { requests, seconds, cpu: (used / requests) * 1e6 };
    };
    try {
      for (let round = 0; round < warmingRounds; round += 1) each(ofRole, first, "stop");
      each(own, first, "stop");
      for (let round = 0; round < rounds; round += 1) {
        await change();
        ahead.push(await untilIdle(server.pid));
        all.push({
          nginx: load(`${nginx.url}/script`, nginx.pid),
          first: each(own, first, "stop"),
          more: eachOften(own),
          // The server waits longer than this takes before it works scripts out by itself.
          changed: await change().then(() => each(own, first, "stop")),
          again: load(`${server.nodeDoor}${again(own[0] ?? "")}`, server.pid),
          turns: each(own, again, "repeat"),
        });
      }
    } finally {
      await nginx.stop();
    }
  });
  console.log(`boot scripts worked out ahead after a change: ${middle(ahead).toFixed(2)} s of CPU`);
  const against = (row: Row) => middle(all.map((round) => round.nginx.cpu / round[row].cpu));
  for (const [row, name] of Object.entries(rows) as [Row, string][]) {
    const perSecond = Math.round(middle(all.map(({ [row]: one }) => one.requests / one.seconds)));
    const cpu = all.map(({ [row]: one }) => one.cpu).sort((a, b) => a - b);
    console.log(
      `boot script, ${name.padEnd(27)} ${String(perSecond).padStart(6)}/s, ${middle(cpu).toFixed(1).padStart(5)} us of CPU each ` +
        `(${cpu.map((one) => one.toFixed(1)).join(", ")}): ${against(row).toFixed(2)} of nginx`,
    );
  }
  const cold = round(Math.min(against("first"), against("more")));
  const cached = round(Math.min(against("again"), against("turns")));
  return {
    bootscript_vs_nginx: Math.min(cold, cached),
    bootscript_cold_vs_nginx: cold,
    bootscript_cached_vs_nginx: cached,
    bootscript_after_change_vs_nginx: round(against("changed")),
    ahead_s: round(middle(ahead)),
  };
}

const bootsOfEach = 5;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

/** Waits until the server has done next to nothing for a while; returns the processor time that it took, seconds. */
async function untilIdle(pid: number): Promise<number> {
  const began = treeCpu(pid);
  for (let [idle, last] = [0, began]; idle < idleSeconds;) {
    await sleep(1000);
    const now = treeCpu(pid);
    idle = now - last < 0.1 ? idle + 1 : 0;
    last = now;
  }
  return treeCpu(pid) - began;
}

/** Longer than the server waits for more changes before it works scripts out. */
const idleSeconds = 6;

interface Load {
  readonly requests: number;
  readonly seconds: number;
  /** Processor time of the server for a request, microseconds. */
  readonly cpu: number;
}

const loadSeconds = 2;
const connections = 64;

/** With wrk, on one thread. `script` chooses the paths, and may end it before its time. */
function load(url: string, pid: number, script?: string): Load {
  const before = treeCpu(pid);
  const began = performance.now();
  const more = script === undefined ? [] : ["-s", script];
  const text = execFileSync("wrk", ["-t1", `-c${connections}`, `-d${loadSeconds}s`, ...more, url], {
    encoding: "utf8",
  });
  const seconds = (performance.now() - began) / 1000;
  const used = treeCpu(pid) - before;
  const requests = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  if (requests === 0 || /Non-2xx/.test(text)) throw new Error(`${url} does not answer: ${text}`);
  return { requests, seconds, cpu: (used / requests) * 1e6 };
}

/** For wrk: asks for these one after the other, then from the beginning or not at all. */
function writeTurns(folder: string, paths: readonly string[], rest: "repeat" | "stop"): string {
  const file = join(folder, "turns.lua");
  const request = `request = function()\n  n = n % #paths + 1\n  return wrk.format("GET", paths[n])\nend\n`;
  // wrk itself would go on to its time. When so many are answered, the other connections have asked for the last ones.
  const enough = paths.length - 2 * connections;
  const response = `response = function(status)
  if status ~= 200 then print("Non-2xx") os.exit(1) end
  done = done + 1
  if done == ${enough} then print(done .. " requests in all") os.exit(0) end\nend\n`;
  const list = paths.map((path) => `"${path}"`).join(",\n");
  writeFileSync(file, `local paths = {\n${list}}\nlocal n, done = 0, 0\n${request}${rest === "stop" ? response : ""}`);
  return file;
}

/** Nodes do not ask in the order of their names. By the same numbers each time (Park and Miller's generator). */
function shuffled(names: readonly string[]): string[] {
  let state = 1;
  return names
    .map((name) => ({ name, place: (state = (state * 48_271) % 2_147_483_647) }))
    .sort((a, b) => a.place - b.place)
    .map(({ name }) => name);
}

async function startNginx(folder: string, text: string) {
  const port = await freePort();
  mkdirSync(join(folder, "www"));
  writeFileSync(join(folder, "www/script"), text);
  const config = join(folder, "nginx.conf");
  writeFileSync(
    config,
    [
      `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;`,
      "events { worker_connections 256; }",
      "http {",
      `  access_log off; sendfile on; keepalive_requests 100000000; default_type text/plain;`,
      ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `  ${name}_temp_path ${folder}/${name};`),
      `  open_file_cache max=100 inactive=60s;`,
      `  server { listen 127.0.0.1:${port}; root ${folder}/www; }`,
      "}",
      "",
    ].join("\n"),
  );
  const nginx = spawn("nginx", ["-p", folder, "-c", config], { stdio: ["ignore", "ignore", "inherit"] });
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 50 && nginx.exitCode === null; attempt += 1) {
    const up = await fetch(`${url}/script`).then(
      async (answer) => (await answer.text()) === text,
      () => false,
    );
    if (up) break;
    await sleep(100);
  }
  return {
    url,
    pid: nginx.pid ?? 0,
    stop: async () => {
      if (nginx.exitCode !== null) return;
      nginx.kill("SIGTERM");
      await once(nginx, "exit");
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
