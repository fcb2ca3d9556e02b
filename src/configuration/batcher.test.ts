import assert from "node:assert/strict";
import { test } from "node:test";
import { timestamp } from "../lib/clock.ts";
import { batcherStep, type BatcherView } from "./batcher.ts";
import { defaultOptions } from "./options.ts";
import type { ConfigurationSession, ConfiguredComponent } from "./types.ts";

const start = Date.parse("2026-01-01T00:00:00Z");
const at = (seconds: number) => timestamp(new Date(start + seconds * 1000));

const commit = "0".repeat(40);
const layers = ["one.yml", "two.yml"].map((playbook) => ({ url: "/site", playbook, commit }));
const site = { name: "site", lastUpdated: at(0), layers };

function component(id: string, more: Partial<ConfiguredComponent> = {}): ConfiguredComponent {
  const known = { desiredConfig: "site", state: [], enabled: true, errorCount: 0, tags: {} };
  return { id, ...known, status: "pending", pendingSince: at(0), ...more };
}

function session(name: string, more: Partial<ConfigurationSession> = {}): ConfigurationSession {
  return {
    ...{ name, configuration: "site", configurationLimit: "", tags: {}, debugOnFailure: false, batch: true },
    ...{ ansible: { config: "", verbosity: 0, limit: "" }, target: { definition: "dynamic" } },
    ...{ status: "complete", succeeded: "false", startTime: at(0), artifacts: [], images: [] },
    ...more,
  };
}

function step(seconds: number, more: Partial<BatcherView>) {
  return batcherStep({
    ...{ components: [], sessions: [], configurations: new Map([["site", site]]) },
    options: defaultOptions,
    now: new Date(start + seconds * 1000),
    ...more,
  });
}

const batches = (seconds: number, more: Partial<BatcherView>) =>
  step(seconds, more).create.map(({ ansible, configurationLimit }) => [ansible.limit, configurationLimit]);

test("a component waits for others as long as the window says, and not when there are enough", () => {
  const components = [component("x1"), component("x2", { pendingSince: at(30) })];
  assert.deepEqual(batches(59, { components }), []);
  assert.deepEqual(batches(60, { components }), [["x1,x2", ""]]);
  assert.deepEqual(batches(31, { components, options: { ...defaultOptions, batchSize: 2 } }), [["x1,x2", ""]]);
  const many = Array.from({ length: 51 }, (_, index) => component(`x${100 + index}`));
  const full = batches(1, { components: many });
  assert.deepEqual(
    full.map(([limit = ""]) => limit.split(",").length),
    [25, 25],
  );
  assert.equal(batches(60, { components: many }).length, 3);
});

test("components that need other layers, or have failed before, are not in one session", () => {
  const applied = { ...layers[0]!, status: "applied", lastUpdated: at(0), sessionName: "s" } as const;
  const components = [
    component("x1"),
    component("x2", { state: [applied] }),
    component("x3", { errorCount: 1 }),
    component("x4", { desiredConfig: "other" }),
    component("x5", { desiredConfig: "gone" }),
  ];
  const configurations = new Map([site, { ...site, name: "other" }].map((one) => [one.name, one]));
  assert.deepEqual(batches(60, { components, configurations }), [
    ["x1", ""],
    ["x2", "1"],
    ["x3", ""],
    ["x4", ""],
  ]);
});

test("a component is in one session at a time", () => {
  const components = [component("x1"), component("x2")];
  const running = session("one", { status: "running", ansible: { config: "", verbosity: 0, limit: "x1,x9" } });
  assert.deepEqual(batches(60, { components, sessions: [running] }), [["x2", ""]]);
  const sessions = Array.from({ length: 16 }, (_, index) => session(`s${index}`, { status: "running" }));
  assert.deepEqual(batches(60, { components, sessions }), []);
});

test("what failed is tried again later and later, however many there are", () => {
  const again = (errors: number, seconds: number) => {
    const components = Array.from({ length: 25 }, (_, index) => component(`x${index}`, { errorCount: errors }));
    return batches(seconds, { components }).length;
  };
  assert.deepEqual([again(1, 9), again(1, 10), again(2, 19), again(2, 20)], [0, 1, 0, 1]);
  assert.deepEqual([again(30, 3599), again(30, 3600)], [0, 1]);
});

test("sessions that came to nothing hold their configuration back, until one went through", () => {
  const components = [component("x1")];
  const broken = (name: string, completionTime: string) => session(name, { completionTime, error: "no repository" });
  const sessions = [broken("a", at(100)), broken("b", at(120))];
  assert.deepEqual(batches(139, { components, sessions }), []);
  assert.equal(batches(140, { components, sessions }).length, 1);
  const healed = [...sessions, session("c", { completionTime: at(130) })];
  assert.equal(batches(131, { components, sessions: healed }).length, 1);
  assert.equal(
    batches(121, { components, sessions: [session("d", { ...sessions[1], configuration: "o" })] }).length,
    1,
  );
});

test("a session that nobody begins is removed, and its components are taken up again after that", () => {
  const pending = session("one", { status: "pending", ansible: { config: "", verbosity: 0, limit: "x1" } });
  const view = { components: [component("x1")], sessions: [pending] };
  assert.deepEqual(step(300, view), { create: [], remove: [] });
  assert.deepEqual(step(301, view), { create: [], remove: ["one"] });
  assert.equal(step(301, { components: view.components }).create.length, 1);
});
