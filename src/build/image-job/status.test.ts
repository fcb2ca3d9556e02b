import assert from "node:assert/strict";
import { test } from "node:test";
import type { StepReport, StepState } from "../types.ts";
import { laterStatus, statusOfBuild } from "./status.ts";

const steps = (...states: [StepReport["kind"], StepState][]): StepReport[] =>
  states.map(([kind, state]) => ({ kind, state, title: kind }));

test("a job goes where its build is", () => {
  const running = (...states: [StepReport["kind"], StepState][]) =>
    statusOfBuild({ status: "running", steps: steps(...states) });
  assert.equal(statusOfBuild({ status: "pending", steps: [] }), "fetching_recipe");
  assert.equal(running(["lock", "waiting"], ["base", "waiting"]), "fetching_recipe");
  assert.equal(running(["lock", "running"], ["base", "waiting"]), "waiting_for_repos");
  assert.equal(running(["lock", "done"], ["base", "running"], ["rootfs", "waiting"]), "building_image");
  assert.equal(running(["lock", "cached"], ["base", "cached"], ["rootfs", "running"]), "packaging_artifacts");
  assert.equal(statusOfBuild({ status: "succeeded", steps: [] }), "success");
  assert.equal(statusOfBuild({ status: "failed", steps: [] }), "error");
});

test("a job never goes back, and ends once", () => {
  assert.equal(laterStatus("create", "building_image", "fetching_recipe"), "building_image");
  assert.equal(laterStatus("create", "building_image", "packaging_artifacts"), "packaging_artifacts");
  assert.equal(laterStatus("create", "packaging_artifacts", "error"), "error");
  assert.equal(laterStatus("create", "error", "success"), "error");
  assert.equal(laterStatus("customize", "waiting_on_user", "packaging_artifacts"), "packaging_artifacts");
  assert.equal(laterStatus("customize", "packaging_artifacts", "building_image"), "packaging_artifacts");
  assert.equal(laterStatus("customize", "packaging_artifacts", "success"), "success");
});
