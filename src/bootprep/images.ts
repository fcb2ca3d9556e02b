/** The images of a plan, in the order in which they can be built. */
import type { BootprepFile, FileBase, FileImage, LateText, NameOrId } from "./file.ts";
import { isWaiting } from "./file.ts";
import type { Planning } from "./planning.ts";
import type { FoundImage, FoundRecipe, PlannedBase, PlannedImage } from "./ports.ts";
import { findProductBase } from "./products.ts";
import type { Variables } from "./variables.ts";

/** Images of the file by their ref_name. */
export function imageByRef(file: BootprepFile, reference: string): FileImage | undefined {
  return file.images.find((image) => image.refName?.text === reference);
}

/**
 * The names that the file's images will have. A name that speaks of its base needs the record of that base, so this
 * asks the ports, whether or not the plan builds images.
 */
export class ImageNames {
  readonly #planning: Planning;
  readonly #records = new Map<FileImage, Promise<Variables | undefined>>();
  readonly #names = new Map<LateText, string | undefined>();
  readonly #bases = new Map<FileBase, Promise<FoundRecipe | FoundImage | undefined>>();

  constructor(planning: Planning) {
    this.#planning = planning;
  }

  /** Nothing when it cannot be told; the mistake is reported then. */
  async nameOf(image: FileImage): Promise<string | undefined> {
    return this.settle(image, image.name, "an image's name");
  }

  async settle(image: FileImage, text: LateText, subject: string): Promise<string | undefined> {
    if (!isWaiting(text)) return text.text;
    const record = await this.#recordOf(image);
    if (!this.#names.has(text)) {
      this.#names.set(text, this.#planning.settle(text, record && { base: record }, subject));
    }
    return this.#names.get(text);
  }

  /** The one recipe or image that an image is based on; its mistakes are reported once, however often it is asked. */
  findBase(base: Exclude<FileBase, { kind: "image_ref" }>): Promise<FoundRecipe | FoundImage | undefined> {
    const known = this.#bases.get(base) ?? this.#lookUpBase(base);
    this.#bases.set(base, known);
    return known;
  }

  async #lookUpBase(base: Exclude<FileBase, { kind: "image_ref" }>): Promise<FoundRecipe | FoundImage | undefined> {
    if (base.kind === "ims") return findOne(this.#planning, base.type, base.target);
    return findProductBase(this.#planning, base);
  }

  #recordOf(image: FileImage): Promise<Variables | undefined> {
    const known = this.#records.get(image) ?? this.#lookUp(image.base);
    this.#records.set(image, known);
    return known;
  }

  async #lookUp(base: FileBase): Promise<Variables | undefined> {
    if (base.kind === "image_ref") {
      const target = imageByRef(this.#planning.file, base.reference.text);
      const name = target && (await this.nameOf(target));
      return name === undefined ? undefined : { name };
    }
    const found = await this.findBase(base);
    return found && { ...found };
  }
}

/** Exactly one recipe or image; none or several are a mistake, told once for each place. */
export async function findOne(
  planning: Planning,
  type: "recipe" | "image",
  target: NameOrId,
): Promise<FoundRecipe | FoundImage | undefined> {
  const query = target.by === "name" ? { name: target.text } : { id: target.text };
  const found = await (type === "recipe" ? planning.ports.findRecipes(query) : planning.ports.findImages(query));
  const [first, ...others] = found;
  if (first !== undefined && others.length === 0) return first;
  const which = target.by === "name" ? `named "${target.text}"` : `with the id ${target.text}`;
  if (first === undefined) {
    return planning.report(target, `there is no ${type} ${which}`, `netkiln ${type}s list shows what there is`);
  }
  return planning.report(
    target,
    `there are ${found.length} ${type}s ${which}`,
    `choose one by id: ${found.map(({ id }) => id).join(", ")}`,
  );
}

export async function planImages(planning: Planning, names: ImageNames): Promise<readonly PlannedImage[]> {
  if (!planning.includes("images")) return [];
  const planned = new Map<FileImage, PlannedImage>();
  const taken = new Map<string, FileImage>();
  for (const image of inDependencyOrder(planning.file)) {
    const name = await names.nameOf(image);
    if (name === undefined) {
      // Its base is wrong, and that is the mistake to tell.
      await planBase(planning, names, image.base, planned);
      continue;
    }
    checkLateName(planning, image, name, taken);
    const result = await planImage(planning, names, image, name, planned);
    if (result !== undefined) planned.set(image, result);
  }
  for (const { base } of planning.file.images) {
    if (base.kind !== "ims" || base.type !== "image" || base.target.by !== "name") continue;
    const maker = taken.get(base.target.text);
    if (maker === undefined) continue;
    const message = `"${base.target.text}" is made by the image in line ${maker.line} of this file`;
    planning.report(base.target, message, "give that image a ref_name and use base: {image_ref: ...}");
  }
  return [...planned.values()];
}

async function planImage(
  planning: Planning,
  names: ImageNames,
  image: FileImage,
  name: string,
  planned: ReadonlyMap<FileImage, PlannedImage>,
): Promise<PlannedImage | undefined> {
  const subject = `image "${name}"`;
  const identity = { name, ...(image.refName !== undefined && { refName: image.refName.text }) };
  const existing = await planning.ports.findImages({ name });
  const policy = planning.policy("images", image.ifExists);
  if (existing[0] !== undefined && policy === "skip") {
    if (existing.length === 1) return { action: "skip", ...identity, id: existing[0].id };
    const ids = existing.map(({ id }) => id).join(", ");
    return planning.report(
      image.name,
      `${subject}: ${existing.length} images have this name, so none can be kept for it`,
      `delete all but one of ${ids}`,
    );
  }
  if (existing.length > 0 && policy === "abort") planning.reportExisting(image.name, "image", name);

  const base = await planBase(planning, names, image.base, planned);
  let configuration: string | undefined;
  if (image.configuration !== undefined) {
    configuration = await names.settle(image, image.configuration, subject);
    if (configuration !== undefined) await planning.checkConfiguration(image.configuration, configuration, subject);
  }
  if (base === undefined) return undefined;
  return {
    action: "build",
    ...identity,
    base,
    ...(configuration !== undefined && { configuration }),
    groups: image.groups,
    replaces: policy === "overwrite" ? existing.map(({ id }) => id) : [],
  };
}

async function planBase(
  planning: Planning,
  names: ImageNames,
  base: FileBase,
  planned: ReadonlyMap<FileImage, PlannedImage>,
): Promise<PlannedBase | undefined> {
  if (base.kind === "image_ref") {
    const target = imageByRef(planning.file, base.reference.text);
    const made = target && planned.get(target);
    // A base that is missing here could not be planned itself, which has been told.
    if (made === undefined) return undefined;
    return made.action === "skip"
      ? { kind: "image", id: made.id, name: made.name }
      : { kind: "planned", name: made.name };
  }
  const found = await names.findBase(base);
  return found && { kind: base.type, id: found.id, name: found.name };
}

/** Names that were templates until now can collide only now. */
function checkLateName(planning: Planning, image: FileImage, name: string, taken: Map<string, FileImage>): void {
  const other = taken.get(name);
  if (other === undefined) {
    taken.set(name, image);
    return;
  }
  const [late, early] = isWaiting(image.name) ? [image, other] : [other, image];
  planning.report(late.name, `image name "${name}" is taken by the image in line ${early.line}`);
}

function inDependencyOrder(file: BootprepFile): readonly FileImage[] {
  const order = new Set<FileImage>();
  const visit = (image: FileImage): void => {
    if (order.has(image)) return;
    const base = image.base.kind === "image_ref" ? imageByRef(file, image.base.reference.text) : undefined;
    // readBootprep lets no circles through.
    if (base !== undefined) visit(base);
    order.add(image);
  };
  file.images.forEach(visit);
  return [...order];
}
