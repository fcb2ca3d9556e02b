import { z } from "zod";
import { labelSchema, xnameSchema } from "../node/index.ts";
import { parseAs } from "../lib/parse.ts";
import { defaultOptions, operations, type Operation, type SessionOptions, type SessionTemplate } from "./types.ts";

const nameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[\w.-]{0,125}[A-Za-z0-9])?$/,
    "must hold only letters, digits and . _ - and be 127 long at most",
  );

const cfsSchema = z.strictObject({ configuration: z.string().optional() }).default({});

const bootSetSchema = z
  .strictObject({
    name: nameSchema.optional(),
    type: z.literal("s3"),
    path: z
      .string()
      .regex(/^s3:\/\/boot-images\/[\w.-]+\/manifest\.json$/, "must be s3://boot-images/IMAGE/manifest.json"),
    etag: z.string().default(""),
    arch: z.enum(["X86", "ARM", "Other", "Unknown"]).default("X86"),
    kernel_parameters: z
      .string()
      .max(4096)
      .regex(/^\P{Cc}*$/u, "must be one line")
      .default(""),
    node_list: z.array(xnameSchema).default([]),
    node_roles_groups: z.array(labelSchema).default([]),
    node_groups: z.array(labelSchema).default([]),
    rootfs_provider: z.string().default(""),
    rootfs_provider_passthrough: z.string().default(""),
    cfs: cfsSchema,
  })
  .refine(
    (set) => set.node_list.length + set.node_roles_groups.length + set.node_groups.length > 0,
    "names no nodes: give it node_list, node_groups or node_roles_groups",
  )
  .transform(({ name: _name, ...set }) => set);

const templateSchema = z.strictObject({
  name: nameSchema,
  description: z.string().default(""),
  enable_cfs: z.boolean().default(true),
  cfs: cfsSchema,
  boot_sets: z
    .record(nameSchema, bootSetSchema)
    .refine((sets) => Object.keys(sets).length > 0, "must hold at least one boot set"),
});

/** Throws `invalid_input` with every mistake. */
export function parseTemplate(value: unknown): SessionTemplate {
  return parseAs(templateSchema, value, "the session template");
}

const seconds = z.int().min(0).max(1_048_576).optional();

const sessionSchema = z.strictObject({
  name: nameSchema.optional(),
  operation: z.enum(operations),
  template_name: nameSchema,
  limit: z
    .string()
    .regex(
      /^(?:[&!]?[\w.:*-]+(?:,[&!]?[\w.:*-]+)*)?$/,
      "must be names with commas, each with & or ! in front or nothing",
    )
    .default(""),
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
  readonly name: string | undefined;
  readonly operation: Operation;
  readonly template_name: string;
  readonly limit: string;
  readonly include_disabled: boolean;
  readonly options: SessionOptions;
}

/** Throws `invalid_input` with every mistake. */
export function parseSession(value: unknown): SessionRequest {
  const { options, ...request } = parseAs(sessionSchema, value, "the session");
  return {
    ...request,
    name: request.name,
    options: {
      max_boot_wait_time: options.max_boot_wait_time ?? defaultOptions.max_boot_wait_time,
      max_power_on_wait_time: options.max_power_on_wait_time ?? defaultOptions.max_power_on_wait_time,
      max_power_off_wait_time: options.max_power_off_wait_time ?? defaultOptions.max_power_off_wait_time,
      default_retry_policy: options.default_retry_policy ?? defaultOptions.default_retry_policy,
    },
  };
}
