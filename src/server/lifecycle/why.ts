import type { Stored, StoreStatus, Why } from "../../artifact/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { House } from "../open.ts";
import { amountOf, keptThing, kinds, survey, type Survey } from "./survey.ts";
import { byImage, imageUses } from "./uses.ts";

export async function statusOfStore(house: House): Promise<StoreStatus> {
  const seen = await survey(house);
  const everything = (kind: (typeof kinds)[number]) => Object.values(seen.sorted[kind]).flat();
  const newest = await house.gcRuns.newest();
  const images = seen.fates.filter(({ image }) => !("deleted" in image));
  return {
    images: images.length,
    deletedImages: seen.fates.length - images.length,
    stored: {
      blob: amountOf(everything("blob")),
      layer: amountOf(everything("layer")),
      "build log": amountOf(everything("build log")),
    },
    garbage: amountOf(kinds.flatMap((kind) => seen.sorted[kind].condemned)),
    young: amountOf(kinds.flatMap((kind) => seen.sorted[kind].young)),
    ...(newest !== undefined && { gc: newest }),
  };
}

/** Why an image is kept, or a blob or a layer by its digest or a beginning of it. Throws `not_found`. */
export async function why(house: House, name: string): Promise<Why> {
  const image = (await house.images.findImage(name)) ?? (await house.images.findDeletedImage(name));
  const seen = await survey(house);
  return image === undefined ? ofDigest(name, seen) : ofImage(image.id, seen, house);
}

async function ofImage(id: string, seen: Survey, house: House): Promise<Why> {
  const found = seen.fates.find(({ image }) => image.id === id);
  if (found === undefined) throw new NetkilnError("not_found", `the image ${id} is gone`);
  const { image, fate, because } = found;
  const blocking = (await imageUses(house)).filter((use) => use.blocks);
  const keeps = ({ name }: Stored) => seen.marks.get(name)?.some((root) => root.id === id) === true;
  const own = kinds.flatMap((kind) => seen.sorted[kind].kept).filter(keeps);
  const alone = own.filter((stored) => seen.marks.get(stored.name)?.length === 1);
  return {
    kind: "deleted" in image ? "deleted image" : "image",
    name: `${image.name} (${id})`,
    fate,
    because,
    inUse: byImage(blocking).get(id) ?? [],
    bytes: amountOf(own).bytes,
    bytesAlone: amountOf(alone).bytes,
  };
}

const shortestDigest = 8;

function ofDigest(name: string, { sorted, marks }: Survey): Why {
  const digest = name.replace(/^sha256:/, "");
  const missing = new NetkilnError("not_found", `there is no image, blob or layer "${name}"`, {
    hint: `an image's name, id or channel, or at least ${shortestDigest} digits of a digest`,
  });
  if (!/^[0-9a-f]+$/.test(digest) || digest.length < shortestDigest) throw missing;
  const found = (["blob", "layer"] as const).flatMap((kind) =>
    (["kept", "young", "condemned"] as const).flatMap((state) =>
      sorted[kind][state].filter((stored) => stored.name.startsWith(digest)).map((stored) => ({ kind, state, stored })),
    ),
  );
  const [first, ...others] = found;
  if (first === undefined) throw missing;
  if (others.some(({ stored }) => stored.name !== first.stored.name)) {
    throw new NetkilnError("invalid_input", `more than one digest begins with "${name}"`);
  }
  return { ...keptThing(first.kind, first.stored, marks), kind: first.kind, state: first.state };
}
