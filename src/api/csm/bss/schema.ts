import { z } from "zod";
import { accessEndpoints } from "../../../boot/index.ts";
import { readS3Link } from "../../../lib/s3-link.ts";

/** Given once with commas, or several times, or both. */
const several = z
  .union([z.string(), z.array(z.string())])
  .transform((text) => [text].flat().flatMap((part) => part.split(",")))
  .transform((list) => list.filter((part) => part !== ""))
  .default([]);

const nids = several.transform((list, context) =>
  list.map((text) => {
    if (/^\d{1,9}$/.test(text)) return Number(text);
    context.addIssue({ code: "custom", message: `"${text}" is no nid` });
    return z.NEVER;
  }),
);

export const filterQuerySchema = z
  .object({ name: several, mac: several, nid: nids })
  .transform(({ name, mac, nid }) => ({ hosts: name, macs: mac, nids: nid }));

const nameList = z
  .array(z.string().min(1).max(255))
  .nullish()
  .transform((list) => list ?? []);

/** What is empty was not given: Go's clients send every member. */
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");

/** BootParams of the Boot Script Service; unknown members are let go, as it does. */
export const bootParamsSchema = z.object({
  hosts: nameList,
  macs: nameList,
  nids: z
    .array(z.int())
    .nullish()
    .transform((list) => list ?? []),
  params: text,
  kernel: text,
  initrd: text,
  "cloud-init": z
    .record(z.string(), z.record(z.string(), z.unknown()).nullable())
    .nullish()
    .transform((parts) =>
      parts == null ? undefined : Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== null)),
    ),
});
export type BootParams = z.output<typeof bootParamsSchema>;

/** Of `s3:///BUCKET/KEY` the third slash does not count. What is no link of S3 is handed to the node as it is. */
const link = text.refine(
  (given) => !/^s3:/i.test(given) || readS3Link(given.replace(/^s3:\/{3}/i, "s3://")) !== undefined,
  "is no link to a file: it has to be s3://BUCKET/KEY",
);

/** As `bootParamsSchema`, of what is to be kept. */
export const newBootParamsSchema = bootParamsSchema.extend({ kernel: link, initrd: link });

export const historyQuerySchema = z.object({
  name: z.string().max(255).optional(),
  endpoint: z.enum(accessEndpoints).optional(),
});

/** What HSM's notifier sends of a state change. */
export const changeSchema = z.object({ Components: z.array(z.string()).nullish() });
