/** Requests and answers of the Configuration Framework Service, versions 2 and 3; both out of the same tables. */
import { z } from "zod";
import { componentStatuses, layerStatuses, sessionResults, sessionStatuses } from "../../../configuration/index.ts";
import { list, member, nullable, object, type Member } from "./members.ts";

const text = z.string();
/** What things are called: what nobody can type is no name. */
const name = text.regex(/^\P{Cc}*$/u, "must hold no control characters");
/** No blanks and no semicolons: such texts come to stand in commands. */
const word = name.regex(/^[^\s;]*$/, "must hold neither blanks nor semicolons");
const commit = z.string().regex(/^[a-f0-9]{40}$/, "must be 40 hexadecimal digits");
const count = z.int().min(0);
const positive = z.int().min(1);
const age = z
  .string()
  .max(10)
  .regex(/^(?:[0-9]+[mhdw])?$/i, "must be an age such as 90m, 24h, 3d or 1w");
/** Lists of ids are texts with commas: one with a comma could be named by none. */
export const componentId = name.min(1).regex(/^[^,]*$/, "must hold no commas");
const tags = z.record(name, text);

/** Limits of v3 alone. */
function v3Limited(schema: z.ZodString, limited: z.ZodString): Pick<Member<string>, "read" | "print"> {
  return { read: (version) => (version === "v3" ? limited : schema), print: (value) => value };
}

const layerName = v3Limited(name, name.min(1).max(45));

const repositoryMembers = {
  name: layerName,
  clone_url: member(word, { required: "v2" }),
  source: member(text, { v2: null }),
  commit: member(commit),
  branch: member(word),
};

export const layerMembers = {
  ...repositoryMembers,
  playbook: member(word, { required: "v3" }),
  special_parameters: object({ ims_require_dkms: member(z.boolean()) }),
};

export const configurationMembers = {
  name: member(text, { readOnly: true }),
  description: member(text),
  tenant_name: member(text, { v2: null }),
  last_updated: member(text, { readOnly: true }),
  layers: list(layerMembers),
  // The one name that v2 has in snake case.
  additional_inventory: object(repositoryMembers, { v2: "additional_inventory" }),
};

const caCert = nullable(
  object({ configmap_name: member(z.string().min(1), { required: true }), configmap_namespace: member(text) }),
);
const method = member(z.literal("password"));
const sourceTexts = {
  description: member(text),
  clone_url: member(z.string().min(1)),
  ca_cert: caCert,
};
const mandatoryUrl = member(z.string().min(1), { required: true });
const filled = member(z.string().min(1), { required: true });

/** Sources are told of by v3 alone. */
export const sourceMembers = {
  name: member(text),
  last_updated: member(text),
  ...sourceTexts,
  credentials: object({ authentication_method: method, secret_name: member(text) }),
};
export const sourceCreateMembers = {
  ...sourceTexts,
  name: member(name.min(1)),
  clone_url: mandatoryUrl,
  credentials: object({ authentication_method: method, username: filled, password: filled }, { required: true }),
};
export const sourceUpdateMembers = {
  ...sourceTexts,
  credentials: object({
    authentication_method: method,
    secret_name: member(text, { readOnly: true }),
    username: member(text),
    password: member(text),
  }),
};
export const sourceRestoreMembers = {
  ...sourceTexts,
  clone_url: mandatoryUrl,
  credentials: object(
    { authentication_method: { ...method, required: true }, secret_name: filled },
    { required: true },
  ),
};

export const optionMembers = {
  hardware_sync_interval: member(positive),
  batcher_check_interval: member(positive),
  batch_size: member(positive),
  batch_window: member(count),
  default_batcher_retry_policy: member(count),
  default_playbook: member(word, { readOnly: "v3" }),
  default_ansible_config: member(z.string().max(60)),
  session_ttl: member(age, { v2: "sessionTTL" }),
  additional_inventory_url: member(word.max(240)),
  additional_inventory_source: member(z.string().max(60), { v2: null }),
  batcher_max_backoff: member(count),
  batcher_disable: member(z.boolean()),
  batcher_pending_timeout: member(positive),
  logging_level: member(z.enum(["DEBUG", "INFO", "WARNING", "ERROR"]) as z.ZodType<string>),
  default_page_size: member(positive, { v2: null }),
  debug_wait_time: member(count, { v2: null }),
  include_ara_links: member(z.boolean(), { v2: null }),
};

/** v2 has no status of a layer: it stands behind the commit (`0123..._failed`) when it is not "applied". */
const stateCommit: Member<string> = {
  read: (version) =>
    version === "v3"
      ? z.string()
      : z
          .string()
          .regex(/^[^_]*(_(applied|failed|skipped|incomplete))?$/, "must be a commit, and _ and a status behind it"),
  print: (value) => value,
};
const stateMembers = {
  clone_url: member(text, { required: true }),
  playbook: member(text, { required: true }),
  commit: { ...stateCommit, required: true },
  status: member(z.enum(layerStatuses), { v2: null, required: "v3" }),
  last_updated: member(text, { readOnly: true }),
  session_name: member(text, { required: true }),
};
const desiredMembers = { ...stateMembers, status: member(text, { v2: null }), last_updated: member(text) };

export const componentMembers = {
  id: member(componentId),
  state: list(stateMembers),
  state_append: object({
    clone_url: member(text),
    playbook: member(text),
    commit: stateCommit,
    status: member(z.enum(layerStatuses), { v2: null }),
    session_name: member(text),
  }),
  desired_state: list(desiredMembers, { readOnly: true }),
  desired_config: v3Limited(name, name.max(60)),
  error_count: member(z.int()),
  retry_policy: member(z.int()),
  enabled: member(z.boolean()),
  configuration_status: member(text, { readOnly: true }),
  tags: member(tags),
  logs: member(text, { v2: null, readOnly: true }),
};

/** The status is empty in v3 when it does not matter. */
const filterStatus = z.enum(["", ...componentStatuses]);
const componentFilterMembers = {
  ids: member(text),
  status: member(filterStatus),
  enabled: member(z.boolean()),
  config_name: member(text),
  tags: member(text),
};
export const componentsUpdateMembers = {
  patch: object(componentMembers, { required: true }),
  filters: object(componentFilterMembers, { required: true, open: true }),
};

const targetMembers = {
  definition: member(z.enum(["image", "spec", "repo", "dynamic"])),
  groups: list(
    {
      name: member(name, { required: true }),
      members: member(z.array(name) as z.ZodType<readonly string[]>, { required: true }),
    },
    { open: true },
  ),
  // Parts of a session have the same names in both versions.
  image_map: list(
    {
      source_id: member(text, { required: true, v2: "source_id" }),
      result_name: member(text, { required: true, v2: "result_name" }),
    },
    { open: true, v2: "image_map" },
  ),
};
const sessionName = z
  .string()
  .min(1)
  .max(45)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    "must be lower-case letters, digits, - and . with a letter or digit at both ends",
  );

export const sessionCreateMembers = {
  name: member(sessionName, { required: true }),
  configuration_name: { ...v3Limited(text, z.string().min(1).max(60)), required: true },
  configuration_limit: member(text),
  ansible_limit: member(word),
  ansible_config: member(text),
  ansible_verbosity: member(z.int().min(0).max(4)),
  ansible_passthrough: member(text),
  target: object(targetMembers, { open: true }),
  tags: member(tags),
  debug_on_failure: member(z.boolean(), { v2: null }),
};

const artifactMembers = {
  image_id: member(text, { v2: "image_id" }),
  result_id: member(text, { v2: "result_id" }),
  type: member(text),
};
const sessionStatusMembers = {
  artifacts: list(artifactMembers, { open: true }),
  session: object(
    {
      job: member(text.nullable()),
      ims_job: member(text.nullable(), { v2: null }),
      start_time: member(text.nullable()),
      completion_time: member(text.nullable()),
      status: member(z.enum(sessionStatuses).or(z.literal(""))),
      succeeded: member(z.enum(sessionResults).or(z.literal(""))),
    },
    { open: true },
  ),
};
export const sessionPatchMembers = { status: object(sessionStatusMembers, { open: true }) };

export const sessionMembers = {
  name: member(text),
  configuration: object({ name: member(text), limit: member(text) }),
  ansible: object({
    config: member(text),
    limit: member(text.nullable()),
    verbosity: member(z.int()),
    passthrough: member(text.nullable()),
  }),
  target: object(targetMembers),
  status: object(sessionStatusMembers),
  tags: member(tags),
  debug_on_failure: member(z.boolean(), { v2: null }),
  logs: member(text, { v2: null }),
};

/** Python's clients write True. */
const truth = z
  .string()
  .toLowerCase()
  .pipe(z.enum(["true", "false"]))
  .transform((word) => word === "true");
const names = z.string().transform((text) => (text === "" ? undefined : text.split(",")));
/** `name=value,name=value`; all have to be there. */
const tagPairs = z.string().transform((text, context) => {
  if (text === "") return undefined;
  const pairs = text.split(",").map((pair) => pair.split("="));
  if (pairs.every((pair) => pair.length === 2)) return pairs as [string, string][];
  context.addIssue({ code: "custom", message: `must be name=value,name=value, not "${text}"` });
  return z.NEVER;
});
export const filterSchema = z.object({ ids: names.optional(), tags: tagPairs.optional() });

export const pageSchema = z.object({
  limit: z.coerce.number().int().min(1).optional(),
  after_id: z.string().optional(),
});
export const inUseSchema = z.object({ in_use: truth.optional() });
export const dropSchema = z.object({ drop_branches: truth.default(false) });

const statuses = names.pipe(z.array(z.enum(componentStatuses)).optional());
const componentQuery = {
  ids: names.optional(),
  status: statuses.optional(),
  enabled: truth.optional(),
  tags: tagPairs.optional(),
};
export const componentQuerySchemas = {
  v2: z
    .object({ ...componentQuery, configName: z.string().optional(), configDetails: truth.default(false) })
    .transform(({ configName, configDetails, ...rest }) => ({
      ...rest,
      config_name: configName,
      config_details: configDetails,
      state_details: true,
    })),
  v3: z.object({
    ...componentQuery,
    config_name: z.string().optional(),
    config_details: truth.default(false),
    state_details: truth.default(false),
  }),
};

/** Nothing given and an empty text are the same. */
const orEmpty = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
export const sessionQuerySchema = z.object({
  age: orEmpty(age),
  min_age: orEmpty(age),
  max_age: orEmpty(age),
  status: orEmpty(z.enum(sessionStatuses)),
  succeeded: orEmpty(z.enum(sessionResults)),
  name_contains: orEmpty(z.string()),
  tags: tagPairs.optional(),
});
/** Only what is complete is removed, unless another status is asked for; an empty one means every status. */
export const sessionRemovalSchema = z.preprocess(
  (query) => ({ status: "complete", ...(query as object) }),
  sessionQuerySchema,
);
