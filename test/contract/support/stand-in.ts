/** A house with the doors that bootprep files and sat need, in which builds are said to be done instead of being done. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import fastify from "fastify";
import { bosService } from "../../../src/api/csm/bos/routes.ts";
import { cfsService } from "../../../src/api/csm/cfs/routes.ts";
import { imsService } from "../../../src/api/csm/ims/routes.ts";
import { registerBootprep } from "../../../src/api/native/bootprep.ts";
import { answerProblems } from "../../../src/api/problem.ts";
import { registerService } from "../../../src/api/service.ts";
import { run } from "../../../src/lib/exec.ts";
import { plantImage } from "../../../src/image/plant-image.ts";
import { advanceRuns, bootprepParts } from "../../../src/server/bootprep.ts";
import { readConfig } from "../../../src/server/config.ts";
import { advanceConfigurationSessions } from "../../../src/server/configuration-sessions.ts";
import { advanceImageJobs } from "../../../src/server/image-jobs.ts";
import { lifecycleParts } from "../../../src/server/lifecycle/index.ts";
import { openHouse, type House } from "../../../src/server/open.ts";
import type { Surroundings } from "../../../src/server/products.ts";
import { makeFolder } from "../../support/server.ts";

export interface StandIn {
  readonly house: House;
  /** Fails when the answer has another status. */
  ask<T = unknown>(method: "GET" | "POST" | "PUT", path: string, body?: unknown, status?: number): Promise<T>;
  /** Takes every step that can be taken now, and ends every build with an image that has nothing in it. */
  work(): Promise<void>;
  close(): Promise<void>;
}

export async function openStandIn(surroundings: Surroundings = {}): Promise<StandIn> {
  const house = await openHouse(readConfig({ data: await makeFolder() }, { NETKILN_CONFIG: undefined }));
  const app = fastify();
  answerProblems(app);
  const findBootable = (id: string) => house.images.findImage(id);
  registerService(app, bosService({ ...house, findBootable, wake: () => {} }));
  registerService(app, cfsService(house));
  registerService(app, imsService({ ...house, lifecycle: lifecycleParts(house) }));
  registerBootprep(app, bootprepParts(house, surroundings));
  return {
    house,
    ask: async <T>(method: "GET" | "POST" | "PUT", url: string, body?: unknown, status?: number) => {
      const answer = await app.inject({ method, url, ...(body !== undefined && { payload: body as object }) });
      const isRight = status === undefined ? answer.statusCode < 300 : answer.statusCode === status;
      assert.ok(isRight, `${method} ${url} answered ${answer.statusCode}: ${answer.body.slice(0, 2000)}`);
      return JSON.parse(answer.body) as T;
    },
    work: async () => {
      await advanceRuns(house);
      await advanceImageJobs(house);
      await advanceConfigurationSessions(house);
      for (const { id, image, status } of await house.builds.list({ limit: 100 })) {
        if (status !== "pending" && status !== "running") continue;
        const imageId = randomUUID();
        await house.images.publish(plantImage(imageId, image));
        await house.builds.finish(id, { imageId });
      }
    },
    close: async () => {
      await app.close();
      await house.db.destroy();
    },
  };
}

/** A recipe of a root tree that is an archive; nobody looks into it. */
export async function plantRecipe(house: House, name: string) {
  const spec = {
    ...{ name, arch: "x86_64" as const, from: { archive: `blob:${"0".repeat(64)}` } },
    ...{ layers: [], outputs: ["squashfs" as const], checks: [], epoch: 0 },
  };
  return (await house.images.putRecipe({ spec, digest: name, files: [] })).recipe;
}

export interface Repository {
  readonly url: string;
  /** Of its branch main. */
  readonly commit: string;
  git(...args: string[]): Promise<string>;
}

export async function makeRepository(url: string, files: Readonly<Record<string, string>>): Promise<Repository> {
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
  const git = async (...args: string[]) =>
    (await run(["git", "-C", url, ...identity, ...args], { env: { HOME: url } })).stdout.trim();
  await mkdir(url, { recursive: true });
  await git("init", "-q", "-b", "main");
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(url, path)), { recursive: true });
    await writeFile(join(url, path), text);
  }
  await git("add", "-A");
  await git("commit", "-q", "-m", "first");
  return { url, git, commit: await git("rev-parse", "HEAD") };
}

/** Starts a run of a bootprep file, and works until it has ended. */
export async function runFile<T extends { readonly id: string; readonly status: string }>(
  { ask, work }: StandIn,
  request: object,
): Promise<T> {
  const base = "/apis/netkiln/v1/bootprep/runs";
  let found = await ask<T>("POST", base, request, 201);
  for (let step = 0; found.status === "running" && step < 20; step += 1) {
    await work();
    found = await ask<T>("GET", `${base}/${found.id}`);
  }
  return found;
}
