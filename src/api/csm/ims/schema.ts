import { z } from "zod";
import { jobKinds, jobStatuses } from "../../../build/index.ts";
import { architectures, linuxDistributions, recipeTypes } from "../../../image/index.ts";

/** Records of the Image Management Service. It refuses members that it does not know, and those that it sets itself. */

const text = z.string().min(1, "Shorter than minimum length 1.");
const plain = z.string().regex(/^\P{Cc}*$/u, "Control characters are not allowed.");
/** What things are called; IMS has no other rule for it. */
const name = plain.min(1, "Shorter than minimum length 1.");

/** As marshmallow reads a boolean: clients in shell send words. */
const flag = z.union([
  z.boolean(),
  z
    .string()
    .regex(/^(true|false)$/i, "Not a valid boolean.")
    .transform((word) => word.toLowerCase() === "true"),
]);

const link = z
  .strictObject({ path: text, etag: z.string().nullish(), type: z.literal("s3") })
  .transform(({ path, etag }) => ({ path, etag: etag ?? undefined }));
const optionalLink = link.nullish().transform((value) => value ?? undefined);
const arch = z.enum(architectures);

const dictionary = z
  .array(z.strictObject({ key: text, value: z.string() }))
  .transform((pairs): Record<string, string> => Object.fromEntries(pairs.map(({ key, value }) => [key, value])));

/** `cray ims images create` sends one pair as an object with key and value; others send a map. */
const metadata = z
  .record(z.string(), z.string())
  .transform((given): Record<string, string> => {
    const { key, value, ...rest } = given;
    const isPair = key !== undefined && value !== undefined && Object.keys(rest).length === 0;
    return isPair ? { [key]: value } : given;
  })
  .pipe(z.record(plain, z.string()));

export const imageCreateSchema = z.strictObject({
  name,
  link: optionalLink,
  arch: arch.default("x86_64"),
  metadata: metadata.nullish().transform((given) => given ?? {}),
});

const annotation = z
  .discriminatedUnion("operation", [
    z.strictObject({ operation: z.literal("set"), key: name, value: z.string() }),
    z.strictObject({ operation: z.literal("remove"), key: text, value: z.string().nullish() }),
  ])
  .transform((change) => (change.operation === "set" ? { set: change.key, to: change.value } : { remove: change.key }));

export const imagePatchSchema = z.strictObject({
  link: link.optional(),
  arch: arch.optional(),
  metadata: annotation.optional(),
});

export const recipeCreateSchema = z.strictObject({
  name,
  link: optionalLink,
  recipe_type: z.enum(recipeTypes),
  linux_distribution: z.enum(linuxDistributions),
  template_dictionary: dictionary.nullish().transform((given) => given ?? {}),
  require_dkms: flag.default(true),
  arch: arch.default("x86_64"),
});

export const recipePatchSchema = z.strictObject({
  link: link.optional(),
  arch: arch.optional(),
  require_dkms: flag.optional(),
  template_dictionary: dictionary.optional(),
});

export const publicKeySchema = z.strictObject({ name, public_key: text });

export const undeleteSchema = z.strictObject({ operation: z.literal("undelete") });

export const remoteNodeSchema = z.strictObject({ xname: name });

/** The name of an image here, which IMS has no rule for. */
const imageName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "Must be letters, digits and . _ -, at most 100.");

export const jobSchema = z.strictObject({
  job_type: z.enum(jobKinds),
  artifact_id: z.uuid("Not a valid UUID."),
  public_key_id: z.uuid("Not a valid UUID."),
  image_root_archive_name: imageName,
  enable_debug: flag.optional(),
  build_env_size: z.coerce.number().int().min(1).optional(),
  job_mem_size: z.coerce.number().int().min(1).optional(),
  kernel_file_name: text.optional(),
  initrd_file_name: text.optional(),
  kernel_parameters_file_name: text.optional(),
  require_dkms: flag.optional(),
  ssh_containers: z
    .array(z.strictObject({ name: text.max(40), jail: flag }))
    .nullish()
    .transform((list) => list ?? undefined),
});

export const jobPatchSchema = z.strictObject({
  status: z.enum(jobStatuses).optional(),
  resultant_image_id: z.uuid("Not a valid UUID.").optional(),
});

/** A list in a query: a member that is there more than once, or one with commas. */
const several = <T extends string>(values: readonly [T, ...T[]]) =>
  z
    .union([z.string(), z.array(z.string())])
    .default([])
    .transform((given) => [given].flat().flatMap((part) => part.split(",")))
    .pipe(z.array(z.enum(values)));

const secondsOf = { w: 604_800, d: 86_400, h: 3600, m: 60 } as const;

export const jobFilterSchema = z
  .object({
    status: several(jobStatuses),
    job_type: several(jobKinds),
    age: z
      .string()
      .regex(/^(\d+[wdhm])+$/, "must be such as 1d or 6h")
      .optional(),
  })
  .transform(({ status, job_type: kinds, age }) => ({ statuses: status, kinds, olderThanSeconds: secondsIn(age) }));

function secondsIn(age: string | undefined): number | undefined {
  if (age === undefined) return undefined;
  const parts = [...age.matchAll(/(\d+)([wdhm])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * secondsOf[unit as keyof typeof secondsOf], 0);
}
