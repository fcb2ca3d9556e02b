import { isIP } from "node:net";
import { z } from "zod";
import { canonicalMac } from "../../../node/index.ts";
import { folded, several, xname, type } from "./schema.ts";

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");
const texts = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);
/** Clients leave empty what they do not know. */
const looseMac = text.transform((value) => canonicalMac(value));
const looseIp = text.transform((value) => (isIP(value) === 0 ? undefined : value));

const nic = folded({ uri: text, mac: looseMac, ip: looseIp, name: text, description: text });
const nics = z
  .array(nic)
  .nullish()
  .transform((list) => list ?? []);

/** A system or a manager, as `magellan` and `ochami discover static` tell of it. */
const part = folded({
  uri: text,
  uuid: text,
  name: text,
  system_type: text,
  ethernet_interfaces: nics,
  actions: texts,
});
const parts = z
  .array(part)
  .nullish()
  .transform((list) => list ?? []);
export type TellingPart = z.output<typeof part>;

const bool = z.boolean().nullish();
export const endpointSchema = folded({
  ID: z.string().optional(),
  Name: text,
  Hostname: text,
  Domain: text,
  FQDN: text,
  Enabled: bool,
  UUID: text,
  User: text,
  UseSSDP: bool,
  MACRequired: bool,
  MACAddr: text,
  IPAddress: text,
  RediscoverOnUpdate: bool,
  TemplateID: text,
  SchemaVersion: z.int().nullish(),
  Systems: parts,
  Managers: parts,
});
export type EndpointBody = z.output<typeof endpointSchema>;

/** One endpoint, or a list of them. */
export const endpointsSchema = z.preprocess((value) => {
  const inner = value as { RedfishEndpoints?: unknown } | null | undefined;
  return Array.isArray(inner?.RedfishEndpoints) ? inner.RedfishEndpoints : [value];
}, z.array(endpointSchema).min(1));

/** Members that are given are changed; what is derived from is not. */
export const endpointPatchSchema = folded({
  Name: z.string().optional(),
  Hostname: z.string().optional(),
  Domain: z.string().optional(),
  FQDN: z.string().optional(),
  Enabled: z.boolean().optional(),
  UUID: z.string().optional(),
  User: z.string().optional(),
  UseSSDP: z.boolean().optional(),
  MACRequired: z.boolean().optional(),
  MACAddr: z.string().optional(),
  IPAddress: z.string().optional(),
  RediscoverOnUpdate: z.boolean().optional(),
  TemplateID: z.string().optional(),
});

const macText = z.string().transform((value) => canonicalMac(value) ?? value);
export const endpointsQuerySchema = folded({
  id: several(xname),
  fqdn: several(z.string()),
  type: several(type),
  uuid: several(z.string()),
  macaddr: several(macText),
  ipaddress: several(z.string()),
  laststatus: several(z.string()),
});
export const partsQuerySchema = folded({
  id: several(xname),
  redfish_ep: several(xname),
  type: several(type),
  redfish_type: several(z.string()),
});
