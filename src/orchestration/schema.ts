import { z } from "zod";
import { labelSchema, xnameSchema } from "../node/index.ts";
import { parseAs } from "../lib/parse.ts";
import { withoutEmpty } from "./tables.ts";
import { operations, type Operation, type SessionOptions, type SessionTemplate } from "./types.ts";

export const nameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[\w.-]{0,125}[A-Za-z0-9])?$/,
    "must hold only letters, digits and . _ - and be 127 long at most",
  );

const cfsSchema = z.strictObject({ configuration: z.string().optional() }).optional();

const bootSetSchema = z
  .strictObject({
    name: nameSchema.optional(),
    type: z.literal("s3"),
    path: z
      .string()
      .regex(/^s3:\/\/boot-images\/[\w.-]+\/manifest\.json$/, "must be s3://boot-images/IMAGE/manifest.json"),
    etag: z.string().optional(),
    arch: z.enum(["X86", "ARM", "Other", "Unknown"]).default("X86"),
    kernel_parameters: z
      .string()
      .max(4096)
      .regex(/^\P{Cc}*$/u, "must be one line")
      .optional(),
    node_list: z.array(xnameSchema).optional(),
    node_roles_groups: z.array(labelSchema).optional(),
    node_groups: z.array(labelSchema).optional(),
    rootfs_provider: z.string().optional(),
    rootfs_provider_passthrough: z.string().optional(),
    cfs: cfsSchema,
  })
  .refine(
    ({ node_list = [], node_roles_groups = [], node_groups = [] }) =>
      node_list.length + node_roles_groups.length + node_groups.length > 0,
    "names no nodes: give it node_list, node_groups or node_roles_groups",
  )
  .transform(({ name: _name, ...set }) => set);

const templateSchema = z.strictObject({
  name: nameSchema,
  description: z.string().optional(),
  enable_cfs: z.boolean().default(true),
  cfs: cfsSchema,
  boot_sets: z
    .record(nameSchema, bootSetSchema)
    .refine((sets) => Object.keys(sets).length > 0, "must hold at least one boot set"),
});

/** Throws `invalid_input` with every mistake. */
export function parseTemplate(value: unknown): SessionTemplate {
  return withoutEmpty(parseAs(templateSchema, value, "the session template")) as SessionTemplate;
}

/** What is written as a limit; BOS's clients may send null. */
export const limitSchema = z
  .string()
  .max(524_288)
  .regex(
    /^(?:[&!]?[\w.:*-]+(?:,[&!]?[\w.:*-]+)*)?$/,
    "must be names with commas, each with & or ! in front or nothing",
  );

const seconds = z.int().min(0).max(1_048_576).optional();

const sessionSchema = z.strictObject({
  name: nameSchema.optional(),
  operation: z.enum(operations),
  template_name: nameSchema,
  limit: limitSchema.default(""),
  stage: z.boolean().default(false),
  include_disabled: z.boolean().default(false),
  options: z
    .strictObject({
      max_boot_wait_time: seconds,
      max_power_on_wait_time: seconds,
      max_power_off_wait_time: seconds,
      default_retry_policy: z.int().min(-1).max(1_048_576).optional(),
    })
    .default({}),
});

export interface SessionRequest {
  /** A UUID is made when there is none. */
  readonly name?: string | undefined;
  readonly operation: Operation;
  readonly template_name: string;
  readonly limit: string;
  readonly stage: boolean;
  readonly include_disabled: boolean;
  /** What is not given is as the options of the service say. */
  readonly options: { readonly [Name in keyof SessionOptions]?: SessionOptions[Name] | undefined };
}

/** Throws `invalid_input` with every mistake. */
export function parseSession(value: unknown): SessionRequest {
  return parseAs(sessionSchema, value, "the session");
}
