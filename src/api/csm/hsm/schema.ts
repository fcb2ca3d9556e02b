import { isIP } from "node:net";
import { z } from "zod";
import { timestamp } from "../../../lib/clock.ts";
import {
  canonicalMac,
  canonicalXname,
  componentClasses,
  componentFlags,
  componentTypes,
  netTypes,
  nodeStates,
  roles,
  subRoles,
  typeOfXname,
  type ComponentFilter,
  type ComponentInput,
  type NodeArch,
} from "../../../node/index.ts";

/** HSM reads the names of members and query parameters in any case; they come out as they are written here. */
export function folded<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = new Map(Object.keys(shape).map((name) => [name.toLowerCase(), name]));
  const fold = (value: unknown): unknown =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [names.get(key.toLowerCase()) ?? key, inner]))
      : value;
  return z.preprocess(fold, z.object(shape));
}

export const xname = z.string().transform((text, context) => {
  const name = canonicalXname(text);
  if (typeOfXname(name) !== undefined) return name;
  context.addIssue({ code: "custom", message: `xname ID '${text}' is invalid` });
  return z.NEVER;
});

/** One of the words in any case, as it is written in the list. */
function word<const Word extends string>(what: string, words: readonly Word[]) {
  const known = new Map(words.map((one) => [one.toLowerCase(), one]));
  return z.string().transform((text, context): Word => {
    const found = known.get(text.toLowerCase());
    if (found !== undefined) return found;
    context.addIssue({ code: "custom", message: `${what} '${text}' is invalid: one of ${words.join(", ")}` });
    return z.NEVER;
  });
}

/** Sites have roles of their own beside those of HSM. */
function openWord(what: string, words: readonly string[]) {
  const known = new Map(words.map((one) => [one.toLowerCase(), one]));
  return z
    .string()
    .regex(/^\w[\w.:-]{0,63}$/, `${what} is invalid`)
    .transform((text) => known.get(text.toLowerCase()) ?? text);
}

const state = word("state", nodeStates);
const flag = word("flag", componentFlags);
const arch = word("arch", ["X86", "ARM", "Other", "UNKNOWN"]).transform((name): NodeArch =>
  name === "UNKNOWN" ? "Unknown" : name,
);
const componentClass = word("class", componentClasses);
const role = openWord("role", roles);
const subRole = openWord("subRole", subRoles);
export const type = word("type", componentTypes);

/** Go's clients send numbers in quotation marks as well. */
const nid = z
  .union([
    z.int(),
    z
      .string()
      .regex(/^\d{1,9}$/, "NID is invalid")
      .transform(Number),
  ])
  .refine((value) => value >= 0 && value <= 999_999_999, "NID is invalid");

/** What is empty was not given. */
function given<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => (value === "" || value === null ? undefined : value), schema.optional());
}

const componentSchema = folded({
  ID: xname,
  State: state,
  Flag: given(flag),
  Enabled: given(z.boolean()),
  SoftwareStatus: given(z.string()),
  Role: given(role),
  SubRole: given(subRole),
  NID: given(nid),
  Subtype: given(z.string()),
  NetType: given(word("netType", netTypes)),
  Arch: given(arch),
  Class: given(componentClass),
});

export function toInput(one: z.output<typeof componentSchema>): ComponentInput {
  return {
    xname: one.ID,
    state: one.State,
    flag: one.Flag ?? "OK",
    enabled: one.Enabled ?? true,
    softwareStatus: one.SoftwareStatus,
    role: one.Role,
    subRole: one.SubRole,
    nid: one.NID === 0 ? undefined : one.NID,
    subtype: one.Subtype,
    netType: one.NetType,
    arch: one.Arch,
    class: one.Class,
  };
}

const force = given(z.boolean()).default(false);

export const postComponentsSchema = folded({
  Components: z.array(componentSchema).min(1, "Missing Components"),
  Force: force,
});
export const putComponentSchema = folded({
  Component: z.preprocess(
    (value) => (value !== null && typeof value === "object" ? value : {}),
    folded({ ...componentSchema.out.shape, ID: given(xname) }),
  ),
  Force: force,
});

const xnames = z.array(xname).min(1, "Missing IDs");

/** What a PATCH of one component has; of many the same with `ComponentIDs`. */
export const patches = {
  StateData: { State: state, Flag: given(flag).default("OK") },
  FlagOnly: { Flag: flag },
  Enabled: { Enabled: z.boolean() },
  SoftwareStatus: { SoftwareStatus: z.string().optional() },
  Role: { Role: role, SubRole: given(subRole) },
} as const;
export const manyOf = { ComponentIDs: xnames };

export const nidPatchSchema = folded({ NID: nid });
export const bulkNidSchema = folded({
  Components: z.array(folded({ ID: xname, NID: nid })).min(1, "Missing Components"),
});

/** One value or several, as `?type=Node&type=NodeBMC`; in a body also a list. */
export function several<Schema extends z.ZodType<unknown, string>>(value: Schema) {
  // What is turned around with `!` stays so.
  const signed = z.union([
    z.boolean().transform(String),
    z.number().transform(String),
    z.string().transform((text, context) => {
      const sign = text.startsWith("!") ? "!" : "";
      const result = value.safeParse(text.slice(sign.length));
      if (result.success) return sign + String(result.data);
      context.addIssue({ code: "custom", message: result.error.issues[0]?.message ?? "is invalid" });
      return z.NEVER;
    }),
  ]);
  return z.preprocess(
    (list) => (list === undefined || list === null ? undefined : Array.isArray(list) ? list : [list]),
    z
      .array(signed)
      .optional()
      .transform((list) => (list === undefined || list.length === 0 ? undefined : list)),
  );
}

const bool = word("boolean", ["true", "false", "0", "1"]).transform((text) => String(text === "true" || text === "1"));
const count = z.string().regex(/^\d{1,9}$/, "argument was not a valid NID");

const filterShape = {
  type: several(type),
  state: several(state),
  flag: several(flag),
  role: several(role),
  subrole: several(subRole),
  enabled: several(bool),
  softwarestatus: several(z.string()),
  subtype: several(z.string()),
  arch: several(arch),
  class: several(componentClass),
  nid: several(count),
  nid_start: several(count),
  nid_end: several(count),
  group: several(z.string()),
  partition: several(z.string()),
  locked: several(bool),
  reservationdisabled: several(bool),
} as const;

const switchOn = z.preprocess((value) => value === true || value === "true" || value === "1", z.boolean());
const views = { stateonly: switchOn, flagonly: switchOn, roleonly: switchOn, nidonly: switchOn } as const;

export const componentsQuerySchema = folded({ id: several(xname), ...filterShape, ...views });
/** `s0` and `all` stand for the whole system. */
const within = z.array(z.union([z.literal(["s0", "all"]), xname])).min(1, "Missing IDs");
export const queryBodySchema = folded({ ComponentIDs: within, ...filterShape, ...views });
export const withinQuerySchema = folded({ ...filterShape, ...views });

const nidRange = z.string().transform((text, context): [number, number] => {
  const [, from, to] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text.trim()) ?? [];
  if (from !== undefined) return [Number(from), Number(to ?? from)];
  context.addIssue({ code: "custom", message: `argument '${text}' was not a valid NID Range` });
  return z.NEVER;
});
export const nidQuerySchema = folded({
  NIDRanges: z.array(nidRange).min(1, "Missing NID ranges"),
  partition: several(z.string()),
  ...views,
});

type Filtered = z.output<z.ZodObject<typeof filterShape>>;

export function toFilter(query: Filtered): ComponentFilter {
  const { nid: nids, nid_start: starts, nid_end: ends } = query;
  const ranges = [
    ...(nids ?? []).map((one) => [Number(one), Number(one)] as const),
    ...Array.from(
      { length: Math.max(starts?.length ?? 0, ends?.length ?? 0) },
      (_, index) => [Number(starts?.[index] ?? 0), Number(ends?.[index] ?? 999_999_999)] as const,
    ),
  ];
  const filter: ComponentFilter = {
    type: query.type,
    state: query.state,
    flag: query.flag,
    role: query.role,
    subRole: query.subrole,
    enabled: query.enabled,
    softwareStatus: query.softwarestatus,
    subtype: query.subtype,
    arch: query.arch,
    class: query.class,
    locked: query.locked,
    reservationDisabled: query.reservationdisabled,
    group: query.group,
    partition: query.partition,
    nids: ranges.length === 0 ? undefined : ranges,
  };
  return filter;
}

/** HSM would make capital letters small; here a group is found under the name that session templates have for it. */
export const label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/, "Invalid group label.");

const members = folded({ ids: z.array(xname).nullish() })
  .nullish()
  .transform((value) => [...new Set(value?.ids ?? [])]);
const common = {
  description: z
    .string()
    .nullish()
    .transform((text) => text ?? ""),
  tags: z
    .array(label)
    .nullish()
    .transform((tags) => tags ?? []),
  members,
};
export const groupSchema = folded({ label, exclusiveGroup: given(label), ...common });
export const partitionSchema = folded({ name: label, ...common });
/** `null` is as if it were not there; an empty text takes away what was. */
function orNothing<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => value ?? undefined, schema.optional());
}
export const groupPatchSchema = folded({ description: orNothing(z.string()), tags: orNothing(z.array(label)) });
export const memberSchema = folded({ id: xname });
export const membersSchema = folded({ ids: z.array(xname) });
export const groupsQuerySchema = folded({ group: several(label), tag: several(label) });
export const partitionsQuerySchema = folded({ partition: several(label), tag: several(label) });
export const groupQuerySchema = folded({ partition: z.string().optional() });

const processingModel = given(word("ProcessingModel", ["rigid", "flexible"])).default("rigid");
const minutes = given(z.int().min(1, "ReservationDuration must be greater than 0").max(15)).default(1);
const lockFilter = { ComponentIDs: z.array(xname).optional(), ...filterShape } as const;
export const lockSchema = folded({ ...lockFilter, ProcessingModel: processingModel });
export const reserveSchema = folded({ ...lockFilter, ProcessingModel: processingModel, ReservationDuration: minutes });
export const lockStatusSchema = folded({ ComponentIDs: xnames });
export const lockQuerySchema = folded({ ...filterShape, reserved: several(bool) });
const keys = z.array(folded({ ID: xname, Key: z.string().min(1) }));
export const keysSchema = folded({ ReservationKeys: keys, ProcessingModel: processingModel });
export const renewSchema = folded({
  ReservationKeys: keys,
  ProcessingModel: processingModel,
  ReservationDuration: minutes,
});
export const deputySchema = folded({ DeputyKeys: keys });

const mac = z.string().transform((text, context) => {
  const found = canonicalMac(text);
  if (found !== undefined) return found;
  context.addIssue({ code: "custom", message: `'${text}' is no MAC address` });
  return z.NEVER;
});
const network = z.string().max(255);
const ip = z.string().refine((text) => isIP(text) !== 0, "is no IP address");
/** Clients leave an empty address where they know none. */
const addresses = z
  .array(folded({ IPAddress: z.union([z.literal(""), ip]), Network: network.optional() }))
  .transform((list) =>
    list.flatMap(({ IPAddress, Network = "" }) => (IPAddress === "" ? [] : { ip: IPAddress, network: Network })),
  );
const said = {
  Description: orNothing(z.string().max(4096)),
  ComponentID: orNothing(z.union([z.literal(""), xname])),
  IPAddresses: orNothing(addresses),
};
export const interfaceSchema = folded({ MACAddress: mac, ...said });
export const interfacePatchSchema = folded(said);
export const addressSchema = folded({ IPAddress: ip, Network: network.default("") }).transform((address) => ({
  ip: address.IPAddress,
  network: address.Network,
}));
export const addressPatchSchema = folded({ Network: network.optional() });

const time = z.string().transform((text, context) => {
  const milliseconds = Date.parse(text);
  if (!Number.isNaN(milliseconds)) return timestamp(new Date(milliseconds));
  context.addIssue({ code: "custom", message: `'${text}' is no time as RFC 3339 has it` });
  return z.NEVER;
});
export const interfacesQuerySchema = folded({
  MACAddress: several(mac),
  IPAddress: several(z.string()),
  Network: several(z.string()),
  ComponentID: several(xname),
  Type: several(type),
  OlderThan: time.optional(),
  NewerThan: time.optional(),
});

const mapped = { NID: nid.refine((value) => value > 0, "NID is invalid"), Role: given(role), SubRole: given(subRole) };
export const nodeMapSchema = folded(mapped);
export const nodeMapsSchema = folded({
  NodeMaps: z.array(folded({ ID: xname, ...mapped })).min(1, "Missing NodeMaps"),
});
const poweredBy = z.array(xname).min(1);
export const powerMapSchema = folded({ poweredBy });
export const powerMapsSchema = z.array(folded({ id: xname, poweredBy })).min(1);
