import { isIPv4 } from "node:net";
import { z } from "zod";
import { parseAs } from "../lib/parse.ts";
import { canonicalMac, nodeArchs, powerDrivers, type NodeInput } from "./types.ts";
import { canonicalXname } from "./xname.ts";

/** Taken in any of its spellings. */
export const xnameSchema = z
  .string()
  .overwrite(canonicalXname)
  .regex(/^x\d{1,4}c\d+s\d+b\d+n\d+$/, "must be a node's xname such as x1000c0s0b0n0");

/** A label is used in limit expressions, so it holds none of their signs. */
export const labelSchema = z
  .string()
  .regex(/^[A-Za-z0-9][\w.:-]{0,63}$/, "must begin with a letter or digit and hold only letters, digits and . : _ -");

const macSchema = z.string().transform((text, context) => {
  const mac = canonicalMac(text);
  if (mac !== undefined) return mac;
  context.addIssue({ code: "custom", message: `"${text}" is no MAC address` });
  return z.NEVER;
});

const nodeSchema = z.strictObject({
  xname: xnameSchema,
  nid: z.int().min(1).max(999_999_999),
  role: labelSchema.default("Compute"),
  subRole: labelSchema.optional(),
  arch: z.enum(nodeArchs).default("X86"),
  enabled: z.boolean().default(true),
  interfaces: z
    .array(
      z.strictObject({
        mac: macSchema,
        ip: z
          .string()
          .refine((text) => isIPv4(text), "must be an IPv4 address")
          .optional(),
      }),
    )
    .max(16)
    .default([]),
  groups: z.array(labelSchema).default([]),
  kernelParameters: z
    .string()
    .max(1024)
    .regex(/^[\x20-\x7e]*$/, "must be one line of plain characters")
    .default(""),
  power: z
    .strictObject({ driver: z.enum(powerDrivers), options: z.record(z.string(), z.unknown()).default({}) })
    .default({ driver: "simulated", options: {} }),
});

/** A node as it comes over the wire or out of a file; throws `invalid_input` with every mistake. */
export function parseNode(value: unknown): NodeInput {
  const node = parseAs(nodeSchema, value, "the node");
  return {
    ...node,
    subRole: node.subRole,
    interfaces: node.interfaces.map(({ mac, ip }) => ({ mac, ip })),
    groups: [...new Set(node.groups)].sort(),
  };
}
