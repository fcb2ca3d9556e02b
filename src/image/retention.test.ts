import assert from "node:assert/strict";
import { test } from "node:test";
import { decideFates, type RetentionRules } from "./retention.ts";
import type { Image } from "./types.ts";

const rules: RetentionRules = { keepLast: 2, keepDays: 30, deletedDays: 14, channelHistory: 5 };
const now = new Date("2026-03-31T00:00:00Z");
const image = (id: string, name: string, created: string) => ({ id, name, created }) as Image;
const fatesOf = (...args: Parameters<typeof decideFates>) =>
  Object.fromEntries(decideFates(...args).map(({ image, fate, because }) => [image.id, [fate, ...because].join("; ")]));

test("an image goes when it is neither new of its name, nor young, nor in use", () => {
  const live = [
    image("5", "login", "2025-01-01T00:00:00Z"),
    image("4", "compute", "2026-03-30T00:00:00Z"),
    image("3", "compute", "2026-03-02T00:00:00Z"),
    image("2", "compute", "2026-03-02T00:00:00Z"),
    image("1", "compute", "2026-03-01T00:00:00Z"),
    image("0", "compute", "2025-01-01T00:00:00Z"),
  ];
  const uses = new Map([["0", ["nid000001 runs it"]]]);
  assert.deepEqual(fatesOf(live, [], uses, rules, now), {
    5: "keep; it is one of the newest 2 named login",
    4: "keep; it is one of the newest 2 named compute; it is younger than 30 days",
    3: "keep; it is one of the newest 2 named compute; it is younger than 30 days",
    2: "keep; it is younger than 30 days",
    1: "delete",
    0: "keep; nid000001 runs it",
  });
});

test("a deleted image is ended when its time is over, and not while something uses it", () => {
  const deleted = [
    { ...image("3", "compute", "2025-01-01T00:00:00Z"), deleted: "2026-03-17T00:00:01Z" },
    { ...image("2", "compute", "2025-01-01T00:00:00Z"), deleted: "2026-03-17T00:00:00Z" },
    { ...image("1", "compute", "2025-01-01T00:00:00Z"), deleted: "2026-03-01T00:00:00Z" },
  ];
  assert.deepEqual(fatesOf([], deleted, new Map([["1", ["compute:stable may go back to it"]]]), rules, now), {
    3: "keep; it was deleted less than 14 days ago and can be brought back",
    2: "destroy",
    1: "keep; compute:stable may go back to it",
  });
});
