import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../bootprep/index.ts";
import type { Client } from "./client.ts";
import type { Session } from "./command.ts";
import { followRun } from "./run-progress.ts";

const itemOf = (state: Run["items"][number]["state"]) => (_: unknown, index: number) => ({
  section: "image" as const,
  name: `image-${index}`,
  state,
  build: `${state}-${index}`,
});

test("a run of many images is followed by requests that a server takes", async () => {
  const many = { length: 400 };
  const items = [...Array.from(many, itemOf("done")), ...Array.from(many, itemOf("running"))];
  const run: Run = { id: "r", file: "f", status: "running", created: "2026-01-01T00:00:00Z", items };
  const asked: string[] = [];
  const get = async (path: string) => {
    asked.push(path);
    return path.startsWith("/events") ? { next: 1 } : { ...run, status: "succeeded" };
  };
  const output = { json: true, terminal: false, color: false, print: () => {}, warn: () => {}, status: () => {} };
  await followRun(run, { client: { get } as unknown as Client, output } satisfies Session);
  const [path = ""] = asked;
  const subjects = new URL(path, "http://localhost").searchParams.getAll("subject");
  assert.deepEqual([subjects[0], subjects[1]], ["run:r", "build:running-0"], "what has ended says nothing new");
  assert.ok(path.length < 8192, `${path.length} bytes`);
});
