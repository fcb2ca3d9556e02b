/** A house with images, layers and blobs, of which only the builds' work is missing; for tests. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "node:test";
import type { GcRun } from "../../artifact/index.ts";
import type { Image } from "../../image/index.ts";
import { clock, timestamp, useClock } from "../../lib/clock.ts";
import type { NetkilnError } from "../../lib/errors.ts";
import { sha256, type Digests } from "../../lib/files.ts";
import { parseTemplate } from "../../orchestration/index.ts";
import { readConfig } from "../config.ts";
import { openHouse, type House } from "../open.ts";
import { gcHandler, startGc } from "./collect.ts";

export const day = 86_400_000;

export interface Stock {
  readonly house: House;
  readonly folder: string;
}

/** A new one for each test of a file. */
export function holdStock(): Stock {
  let folder = "";
  let house: House | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "netkiln-lifecycle-"));
    house = await openHouse(readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
  });
  afterEach(async () => {
    await house?.db.destroy();
    await rm(folder, { recursive: true });
  });
  return {
    get house() {
      if (house === undefined) throw new Error("there is a house while a test runs");
      return house;
    },
    get folder() {
      return folder;
    },
  };
}

/** Runs what a worker would, so much later that nothing is young any more. */
export async function collect({ house }: Pick<Stock, "house">, later = 2 * 3_600_000): Promise<GcRun> {
  const restore = useClock({ now: () => new Date(Date.now() + later) });
  try {
    const { id } = await startGc(house);
    await gcHandler(house).run({ id: "job", kind: "gc", subject: id, attempt: 1 }, AbortSignal.timeout(20_000));
    return (await house.gcRuns.find(id)) as GcRun;
  } finally {
    restore();
  }
}

let counter = 0;
export const layerName = () => sha256(`layer ${(counter += 1)}`);

export async function makeLayer({ house }: Stock, name = layerName()): Promise<string> {
  await mkdir(join(house.layers.root, name, "etc"), { recursive: true });
  await writeFile(join(house.layers.root, name, "etc/hostname"), name);
  return name;
}

export async function publish(stock: Stock, name: string, more: Partial<Image> = {}): Promise<Image> {
  counter += 1;
  const { blobs, images } = stock.house;
  const rootfs = await blobs.putBytes(`rootfs ${counter}`);
  const id = clock.uuid();
  const image: Image = {
    ...{ id, name, created: timestamp(), arch: "x86_64", buildId: sha256(id).slice(0, 32), build: clock.uuid() },
    ...{ layers: [await makeLayer(stock)], chain: sha256(id), locks: {}, tools: {}, documents: {} },
    artifacts: { rootfs, manifest: await blobs.putBytes(`{"manifest": "${id}"}`) },
    packageSource: { suite: "bookworm", components: ["main"] },
    ...{ initrd: undefined, kernelParameters: "", epoch: 0, recipe: undefined, base: undefined },
    ...{ checks: [], commits: [], verdict: "passed", outputs: ["squashfs"] },
    ...more,
  };
  await images.publish(image);
  return image;
}

/** The squashfs that each image here has. */
export const rootOf = ({ artifacts }: Image) => artifacts.rootfs as Digests;
export const linkTo = ({ id }: Image, file = "manifest.json") => `s3://boot-images/${id}/${file}`;
export const template = (name: string, image: Image) =>
  parseTemplate({ name, boot_sets: { all: { type: "s3", path: linkTo(image), node_list: ["x1c0s0b0n0"] } } });
export const ago = (days: number) => timestamp(new Date(Date.now() - days * day));
export const blobsStored = async ({ folder }: Stock) => {
  const found = await readdir(join(folder, "blobs/sha256"), { recursive: true, withFileTypes: true }).catch(() => []);
  return new Set(found.filter((entry) => entry.isFile()).map(({ name }) => name));
};
export const layersStored = async ({ house }: Stock) =>
  new Set((await readdir(house.layers.root)).filter((name) => name !== "empty"));
export const refused = (message: RegExp) => (error: NetkilnError) =>
  error.code === "refused" && message.test(error.message);
