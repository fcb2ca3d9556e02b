import { imageOfLink } from "../../boot/index.ts";
import { clock, timestamp } from "../../lib/clock.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Image } from "../../image/index.ts";
import type { Boot } from "../../telemetry/index.ts";
import type { House } from "../open.ts";

/** Something for which an image is needed. */
interface ImageUse {
  /** The image's id. */
  readonly image: string;
  /** A sentence about "it". */
  readonly because: string;
  /** Whether the image may not be deleted by hand while this is so; retention keeps it in any case. */
  readonly blocks: boolean;
}

/** Everything that needs an image, of all images at once. */
export async function imageUses(house: House): Promise<ImageUse[]> {
  return [
    ...(await ofChannels(house)),
    ...(await ofTemplates(house)),
    ...(await ofBootParameters(house)),
    ...(await ofNodes(house)),
    ...(await ofWork(house)),
  ];
}

/** Sentences by image id, each once. */
export function byImage(uses: readonly ImageUse[]): Map<string, string[]> {
  const sentences = Map.groupBy(uses, ({ image }) => image);
  return new Map([...sentences].map(([id, all]) => [id, [...new Set(all.map(({ because }) => because))]]));
}

const namedUses = 3;

/** Throws `refused`, with what uses it, for an image that may not be deleted now. */
export async function requireUnused(house: House, { id, name }: Pick<Image, "id" | "name">): Promise<void> {
  const blocking = (await imageUses(house)).filter(({ image, blocks }) => blocks && image === id);
  if (blocking.length === 0) return;
  const sentences = byImage(blocking).get(id) ?? [];
  const more = sentences.length > namedUses ? `; and ${sentences.length - namedUses} more` : "";
  throw new NetkilnError(
    "refused",
    `image ${name} (${id}) is in use: ${sentences.slice(0, namedUses).join("; ")}${more}`,
    { hint: `netkiln store why ${id} tells everything that needs it` },
  );
}

async function ofChannels({ channels, retention }: House): Promise<ImageUse[]> {
  const pointing = await everyPage(
    (page) => channels.list(page),
    ({ name }) => name,
  );
  const since = timestamp(new Date(clock.now().getTime() - retention.deletedDays * 86_400_000));
  const earlier = await channels.undoable(retention.channelHistory, since);
  return [
    ...pointing.map(({ name, image }) => ({ image, because: `the channel ${name} points at it`, blocks: true })),
    ...earlier.map(({ channel, image }) => ({
      image,
      because: `the channel ${channel} can be moved back to it`,
      blocks: false,
    })),
  ];
}

async function ofTemplates({ sessions }: House): Promise<ImageUse[]> {
  const templates = await sessions.listTemplates();
  return templates.flatMap(({ name, boot_sets }) =>
    Object.values(boot_sets).flatMap(({ path }) =>
      imagesOf(path).map((image) => ({ image, because: `the session template ${name} names it`, blocks: true })),
    ),
  );
}

async function ofBootParameters({ entries }: House): Promise<ImageUse[]> {
  const all = await entries.list();
  return all.flatMap(({ name, kernel, initrd, params }) =>
    [kernel, initrd, ...params.split(" ")]
      .flatMap(imagesOf)
      .map((image) => ({ image, because: `the boot parameters of ${name} name it`, blocks: true })),
  );
}

/** Images that links name, also such as a parameter holds (root=live:s3://boot-images/ID/rootfs, http://…). */
function imagesOf(text: string): string[] {
  const linked = imageOfLink(text);
  if (linked !== undefined) return [linked];
  return [...text.matchAll(/\/boot-images\/([\w.-]+)\//g)].map(([, id = ""]) => id);
}

/**
 * So far back is looked for a boot that came up: until then, the node may still run what it had before. Fetches in its
 * name may have pushed further back the one it is in, and the last that came up.
 */
const bootsLookedAt = 5;

async function ofNodes({ nodes, boots, sessions }: House): Promise<ImageUse[]> {
  const uses: ImageUse[] = [];
  // Files that somebody named by hand need not be of an image.
  const use = (image: string, because: string) => image !== "" && uses.push({ image, because, blocks: true });
  const off = new Set<string>();
  for (const { xname, state } of await nodes.list()) {
    if (state === "Off" || state === "Empty") {
      off.add(xname);
      continue;
    }
    const newest = await boots.list({ xname, limit: bootsLookedAt });
    const earlier = newest.some(cameUp) ? [] : [await boots.current(xname), await boots.lastUp(xname)];
    for (const boot of earlier) {
      if (boot !== undefined && !newest.some(({ id }) => id === boot.id)) newest.push(boot);
    }
    for (const boot of newest) {
      const up = cameUp(boot);
      if (boot.imageId !== undefined) {
        use(boot.imageId, up ? `${xname} runs it` : `${xname} was given it at boot ${boot.id.slice(-8)}`);
      }
      if (up) break;
    }
  }
  for (const { xname, session, active, desired, actual, staged } of await sessions.listComponents()) {
    if (actual !== undefined && !off.has(xname)) use(actual.imageId, `${xname} runs it`);
    const by = session === "" ? "somebody" : `the session ${session}`;
    if (active && desired !== undefined) use(desired.imageId, `${by} boots ${xname} with it`);
    if (staged?.state !== undefined)
      use(staged.state.imageId, `the session ${staged.session} has it staged for ${xname}`);
  }
  return uses;
}

function cameUp({ phases }: Boot): boolean {
  return phases.some(({ phase }) => phase === "userspace" || phase === "ready");
}

/** Builds, jobs and bootprep runs that are under way. Deleting what they need by hand loses nothing, so it is not refused. */
async function ofWork({ buildRecords, builds, imageJobs, runs }: House): Promise<ImageUse[]> {
  const uses: ImageUse[] = [];
  for (const { id, image: name } of await buildRecords.unfinished()) {
    const because = `build ${id.slice(0, 8)} of ${name}, which is under way, needs it`;
    for (const image of idsIn(await builds.task(id))) uses.push({ image, because, blocks: false });
  }
  for (const { id, kind, status, artifact } of await imageJobs.list()) {
    if (kind !== "customize" || status === "success" || status === "error") continue;
    uses.push({ image: artifact, because: `the IMS job ${id}, which is under way, changes it`, blocks: false });
  }
  for (const { run, plan } of await runs.unfinished()) {
    const because = `the bootprep run ${run.id.slice(0, 8)}, which is under way, names it`;
    for (const image of idsIn([plan, run.items])) uses.push({ image, because, blocks: false });
  }
  return uses;
}

/** Every UUID that a document holds. */
export function idsIn(document: unknown): string[] {
  const text = JSON.stringify(document) ?? "";
  return text.match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? [];
}

const pageSize = 500;

/** All entries of a list that comes in pages. */
export async function everyPage<T>(
  list: (page: { limit: number; after: string | undefined }) => Promise<readonly T[]>,
  keyOf: (item: T) => string,
): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    const last = all.at(-1);
    const items = await list({ limit: pageSize, after: last && keyOf(last) });
    all.push(...items);
    if (items.length < pageSize) return all;
  }
}
