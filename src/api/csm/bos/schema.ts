/** Requests of the Boot Orchestration Service, version 2. */
import { z } from "zod";
import {
  componentPhases,
  limitSchema,
  nameSchema,
  operations,
  sessionStatuses,
  toldActions,
} from "../../../orchestration/index.ts";

const text = (longest: number) => z.string().max(longest);
const filled = (longest: number) => z.string().min(1).max(longest);
const named = (longest: number) => filled(longest).regex(/^\P{Cc}*$/u, "must hold no control characters");
const readOnly = z.undefined("Property is read-only").optional();
const age = z
  .string()
  .max(8)
  .regex(/^(0|0[mhdw]|[1-9][0-9]*[mhdw])$/i, "must be an age such as 90m, 6h, 3d or 2w");

/** Of a parameter that is given more than once, the first counts. */
function first<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => (Array.isArray(value) ? (value as unknown[])[0] : value), schema.optional());
}

const flag = z
  .string()
  .toLowerCase()
  .pipe(z.enum(["true", "false"], "must be true or false"))
  .transform((word) => word === "true");

const count = (most: number) => z.int().min(0).max(most);

// Session templates

const cfs = z.strictObject({ configuration: text(127).optional() });

const bootSetSchema = z.strictObject({
  name: nameSchema.optional(),
  path: filled(4095),
  cfs: cfs.optional(),
  type: filled(127),
  etag: text(65_536).optional(),
  kernel_parameters: text(4096)
    .regex(/^\P{Cc}*$/u, "must be one line")
    .optional(),
  node_list: z.array(named(127)).min(1).max(65_535).optional(),
  node_roles_groups: z.array(named(127)).min(1).max(1023).optional(),
  node_groups: z.array(named(127)).min(1).max(4095).optional(),
  arch: z.enum(["X86", "ARM", "Other", "Unknown"]).optional(),
  rootfs_provider: filled(511).optional(),
  rootfs_provider_passthrough: text(4096).optional(),
});

const bootSetsSchema = z
  .record(nameSchema, bootSetSchema)
  .refine((sets) => Object.keys(sets).length > 0, "must hold at least one boot set")
  .refine((sets) => Object.keys(sets).length <= 127, "must hold 127 boot sets at most")
  .superRefine((sets, context) => {
    for (const [key, { name = key }] of Object.entries(sets)) {
      if (name === key) continue;
      context.addIssue({ code: "custom", message: `boot_sets key (${key}) does not match 'name' field (${name})` });
    }
  });

const templateMembers = {
  description: filled(1023).optional(),
  enable_cfs: z.boolean().optional(),
  cfs: cfs.optional(),
};

export const templatePatchSchema = z.strictObject({ ...templateMembers, boot_sets: bootSetsSchema.optional() });

/** What was read from here is taken back as well: the name, and that there is no tenant. */
export const templateSchema = z.strictObject({
  name: nameSchema.optional(),
  tenant: z.union([z.literal(""), z.null()], "Property is read-only").optional(),
  links: readOnly,
  ...templateMembers,
  boot_sets: bootSetsSchema,
});

export type WireTemplate = z.output<typeof templateSchema>;
export type WireTemplatePatch = z.output<typeof templatePatchSchema>;

// Sessions

export const sessionCreateSchema = z.strictObject({
  name: nameSchema.optional(),
  operation: z.enum(operations),
  template_name: nameSchema,
  limit: z
    .union([limitSchema, z.null()])
    .optional()
    .transform((limit) => limit ?? ""),
  stage: z.boolean().default(false),
  include_disabled: z.boolean().default(false),
});

export const sessionUpdateSchema = z.strictObject({
  components: text(524_288).optional(),
  status: z
    .strictObject({
      start_time: text(127).optional(),
      end_time: text(127).nullable().optional(),
      status: z.enum(sessionStatuses).optional(),
      error: text(65_536).nullable().optional(),
    })
    .optional(),
});

export const sessionsQuerySchema = z.object({
  min_age: first(age),
  max_age: first(age),
  status: first(z.enum(sessionStatuses)),
});

// Components

const artifacts = z.strictObject({
  kernel: text(4095).optional(),
  kernel_parameters: text(4096).optional(),
  initrd: text(4095).optional(),
});

const sessionOrEmpty = z.union([nameSchema, z.literal("")], "must be the name of a session, or empty");
const attempts = count(1_048_576).optional();
const state = { boot_artifacts: artifacts.optional(), last_updated: readOnly };
const token = text(65_535).optional();

const componentMembers = {
  actual_state: z.strictObject({ ...state, bss_token: token }).optional(),
  desired_state: z.strictObject({ ...state, bss_token: token, configuration: text(127).optional() }).optional(),
  staged_state: z
    .strictObject({ ...state, session: sessionOrEmpty.optional(), configuration: text(127).optional() })
    .optional(),
  last_action: z
    .strictObject({ last_updated: readOnly, action: z.enum(toldActions).optional(), failed: z.boolean().optional() })
    .optional(),
  event_stats: z
    .strictObject({
      power_on_attempts: attempts,
      power_off_graceful_attempts: attempts,
      power_off_forceful_attempts: attempts,
    })
    .optional(),
  status: z
    .strictObject({
      phase: z.enum(componentPhases).optional(),
      status: readOnly,
      status_override: text(65_536).optional(),
    })
    .optional(),
  enabled: z.boolean().optional(),
  error: text(65_536).optional(),
  session: sessionOrEmpty.optional(),
  retry_policy: attempts,
};

const componentId = named(127);

export const componentSchema = z
  .strictObject({ id: componentId.optional(), ...componentMembers })
  .refine((component) => Object.keys(component).length > 0, "must say something");

export type WireComponent = z.output<typeof componentSchema>;

export const componentsSchema = z.array(z.strictObject({ id: componentId, ...componentMembers }));

const nothing = z.union([z.literal(""), z.null()], "Multiple filters provided").optional();

export const componentsUpdateSchema = z.strictObject({
  patch: componentSchema,
  filters: z.union(
    [z.strictObject({ ids: filled(65_535), session: nothing }), z.strictObject({ session: nameSchema, ids: nothing })],
    "must have either ids or session",
  ),
});

export const componentsQuerySchema = z.object({
  ids: first(z.string()),
  session: first(sessionOrEmpty),
  staged_session: first(sessionOrEmpty),
  enabled: first(flag),
  phase: first(z.enum(componentPhases)),
  status: first(text(512)),
  start_after_id: first(componentId),
  page_size: first(
    z
      .string()
      .regex(/^\d{1,7}$/, "must be a number")
      .transform(Number)
      .pipe(count(1_048_576)),
  ),
});

export const skipQuerySchema = z.object({ skip_bad_ids: first(flag) });

export const applyStagedSchema = z.strictObject({ xnames: z.array(componentId).max(32_768).default([]) });

// Options

const timeout = z.int().min(10).max(86_400);
const seconds = count(1_048_576);

/** Others are kept as they come. */
export const optionsSchema = z
  .object({
    bss_read_timeout: timeout,
    cfs_read_timeout: timeout,
    cleanup_completed_session_ttl: age,
    clear_stage: z.boolean(),
    component_actual_state_ttl: z
      .string()
      .max(8)
      .regex(/^[1-9][0-9]*[hdw]$/i, "must be an age such as 6h, 3d or 2w"),
    default_retry_policy: seconds,
    discovery_frequency: count(33_554_432),
    hsm_read_timeout: timeout,
    ims_errors_fatal: z.boolean(),
    ims_images_must_exist: z.boolean(),
    ims_read_timeout: timeout,
    logging_level: z.string().regex(/^(debug|info|warning|error|critical)$/i, "must be a level such as INFO"),
    max_boot_wait_time: seconds,
    max_component_batch_size: count(131_071),
    max_power_off_wait_time: seconds,
    max_power_on_wait_time: seconds,
    pcs_read_timeout: timeout,
    polling_frequency: seconds,
    reject_nids: z.boolean(),
    session_limit_required: z.boolean(),
  })
  .partial()
  .catchall(z.unknown())
  .refine((options) => Object.keys(options).length > 0, "must hold at least one option")
  .refine((options) => Object.keys(options).length <= 1024, "must hold 1024 options at most");
