import { z } from "zod";
import { canonicalMac } from "../../../node/index.ts";

/** Comma-separated names, as BSS takes them in a query. */
const names = z
  .string()
  .transform((text) => text.split(",").filter((part) => part !== ""))
  .default([]);

const canonical = (macs: readonly string[]) => macs.map((mac) => canonicalMac(mac) ?? mac.toLowerCase());

export const filterQuerySchema = z
  .object({ name: names, mac: names, nid: names })
  .transform(({ name, mac, nid }) => ({ hosts: name, macs: canonical(mac), nids: nid.map(Number) }));

const nameList = z
  .array(z.string().min(1).max(255))
  .nullish()
  .transform((list) => list ?? []);

/** BootParams of the Boot Script Service; unknown members are let go, as it does. */
export const bootParamsSchema = z.object({
  hosts: nameList,
  macs: nameList.transform(canonical),
  nids: z
    .array(z.int())
    .nullish()
    .transform((list) => list ?? []),
  params: z.string().optional(),
  kernel: z.string().optional(),
  initrd: z.string().optional(),
  "cloud-init": z.record(z.string(), z.unknown()).nullish(),
});
export type BootParams = z.output<typeof bootParamsSchema>;
