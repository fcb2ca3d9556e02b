/** The session templates of a plan: which image they boot, and whether it is there or will be. */
import { isDeepStrictEqual } from "node:util";
import type { BootSets, FileTemplate, FileTemplateImage, NameOrId } from "./file.ts";
import { findOne, imageByRef, type ImageNames } from "./images.ts";
import type { Planning } from "./planning.ts";
import type { PlannedImage, PlannedTemplate } from "./ports.ts";
import { isMapping } from "./shape.ts";
import { looksLikeId } from "./texts.ts";
import type { Variables } from "./variables.ts";

type TemplateImage = Extract<PlannedTemplate, { image: unknown }>["image"];

export async function planTemplates(
  planning: Planning,
  names: ImageNames,
  images: readonly PlannedImage[],
): Promise<readonly PlannedTemplate[]> {
  if (!planning.includes("session_templates")) return [];
  const planned: PlannedTemplate[] = [];
  const taken = new Map<string, FileTemplate>();
  for (const item of planning.file.templates) {
    const imageOf = once(() => findImage(planning, names, images, item.image));
    const name = "text" in item.name ? item.name.text : await settleName(planning, item, await imageOf());
    if (name === undefined) continue;
    const other = taken.get(name);
    if (other !== undefined)
      planning.report(item.name, `session template name "${name}" is taken by the one in line ${other.line}`);
    taken.set(name, item);
    const template = await planTemplate(planning, item, name, imageOf);
    if (template !== undefined) planned.push(template);
  }
  return planned;
}

async function planTemplate(
  planning: Planning,
  item: FileTemplate,
  name: string,
  imageOf: () => Promise<TemplateImage | undefined>,
): Promise<PlannedTemplate | undefined> {
  const subject = `session template "${name}"`;
  const existing = await planning.ports.findTemplate(name);
  const policy = planning.policy("templates", item.ifExists);
  if (existing !== undefined && policy === "skip") return { action: "skip", name };
  if (existing !== undefined && policy === "abort") planning.reportExisting(item.name, "session template", name);

  const image = await imageOf();
  const context = image && { image: { name: image.name } };
  const configuration = planning.settle(item.configuration, context, subject);
  if (configuration !== undefined) await planning.checkConfiguration(item.configuration, configuration, subject);
  const bootSets = item.bootSets.waiting ? renderBootSets(planning, item, context, subject) : item.bootSets.sets;
  if (image === undefined || configuration === undefined || bootSets === undefined) return undefined;

  const content = { name, image, configuration, bootSets };
  if (existing === undefined) return { action: "create", ...content };
  if (policy === "overwrite") return { action: "overwrite", ...content };
  const equal =
    image.kind === "existing" &&
    image.id === existing.imageId &&
    configuration === existing.configuration &&
    isDeepStrictEqual(bootSets, existing.bootSets);
  return { action: equal ? "reuse" : "update", ...content };
}

async function settleName(
  planning: Planning,
  item: FileTemplate,
  image: TemplateImage | undefined,
): Promise<string | undefined> {
  return planning.settle(item.name, image && { image: { name: image.name } }, "a session template's name");
}

/** What a template boots: an image of this plan before one that exists, because that one will be there by then. */
async function findImage(
  planning: Planning,
  names: ImageNames,
  images: readonly PlannedImage[],
  wanted: FileTemplateImage,
): Promise<TemplateImage | undefined> {
  if (wanted.kind === "image_ref") return findReferenced(planning, names, images, wanted);
  const made = wanted.kind === "ims" && wanted.by === "id" ? undefined : plannedByName(images, wanted.text);
  if (made !== undefined) return made;
  const target = wanted.kind === "ims" ? wanted : await nameOrId(planning, wanted);
  const found = await findOne(planning, "image", target);
  return found && { kind: "existing", id: found.id, name: found.name };
}

async function findReferenced(
  planning: Planning,
  names: ImageNames,
  images: readonly PlannedImage[],
  wanted: Extract<FileTemplateImage, { kind: "image_ref" }>,
): Promise<TemplateImage | undefined> {
  const image = imageByRef(planning.file, wanted.text);
  const name = image && (await names.nameOf(image));
  if (name === undefined) return undefined;
  // An image of this file that could not be planned has been reported as such.
  if (planning.includes("images")) return plannedByName(images, name);
  const found = await planning.ports.findImages({ name });
  const [first, ...others] = found;
  if (first !== undefined && others.length === 0) return { kind: "existing", id: first.id, name };
  if (first === undefined) {
    return planning.report(
      wanted,
      `image "${name}" does not exist yet, and --limit leaves images out`,
      "add --limit images",
    );
  }
  return planning.report(
    wanted,
    `there are ${found.length} images named "${name}"`,
    "name one by id: image: {ims: {id: ...}}",
  );
}

/** As sat: a plain string is a name, or an id if it looks like one and no image has that name. */
async function nameOrId(planning: Planning, wanted: FileTemplateImage & { kind: "either" }): Promise<NameOrId> {
  const isId = looksLikeId(wanted.text) && (await planning.ports.findImages({ name: wanted.text })).length === 0;
  return { ...wanted, by: isId ? "id" : "name" };
}

function plannedByName(images: readonly PlannedImage[], name: string): TemplateImage | undefined {
  const image = images.find((candidate) => candidate.name === name);
  if (image === undefined) return undefined;
  return image.action === "skip" ? { kind: "existing", id: image.id, name } : { kind: "planned", name };
}

function renderBootSets(
  planning: Planning,
  item: FileTemplate,
  context: Variables | undefined,
  subject: string,
): BootSets | undefined {
  if (context === undefined) return undefined;
  let failed = false;
  const render = (value: unknown): unknown => {
    if (typeof value === "string") {
      const text = planning.render(item.bootSets, value, context, subject);
      failed ||= text === undefined;
      return text;
    }
    if (Array.isArray(value)) return value.map(render);
    if (!isMapping(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, render(child)]));
  };
  const rendered = render(item.bootSets.sets) as BootSets;
  return failed ? undefined : rendered;
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= ask());
}
