import { z } from "zod";
import type { ClusterDefaults, GroupData, InstanceInfo } from "../../../boot/index.ts";
import { labelSchema } from "../../../node/index.ts";

/** The clients are written in Go: what was not given may come as an empty text, a zero, an empty list or null. */
function given<T>(schema: z.ZodType<T>) {
  const isNothing = (value: unknown) =>
    value === "" || value === 0 || value === null || (Array.isArray(value) && value.length === 0);
  return z.preprocess((value) => (isNothing(value) ? undefined : value), schema.optional());
}

const line = z
  .string()
  .max(1024)
  .regex(/^\P{Cc}*$/u, "must be one line");
const keys = z.array(line.max(16_384));
const hostname = z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, "must be a host name");
/** It begins lines of `#include`, so it is one word. */
const baseUrl = z
  .string()
  .regex(/^https?:\/\/[^\s/][^\s]*$/, "must be a link that begins with http:// or https://")
  .transform((link) => link.replace(/\/+$/, ""));

export const clusterDefaultsSchema = z
  .object({
    cloud_provider: given(line),
    region: given(line),
    "availability-zone": given(line),
    "cluster-name": given(line),
    "public-keys": given(keys),
    "base-url": given(baseUrl),
    "boot-subnet": given(line),
    "wg-subnet": given(line),
    "short-name": given(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,31}$/, "must begin a host name")),
    "nid-length": given(z.int().min(1).max(12)),
  })
  .transform((wire): ClusterDefaults => ({
    cloudProvider: wire.cloud_provider,
    region: wire.region,
    availabilityZone: wire["availability-zone"],
    clusterName: wire["cluster-name"],
    publicKeys: wire["public-keys"],
    baseUrl: wire["base-url"],
    bootSubnet: wire["boot-subnet"],
    wgSubnet: wire["wg-subnet"],
    shortName: wire["short-name"],
    nidLength: wire["nid-length"],
  }));

export function printDefaults(defaults: ClusterDefaults): object {
  return {
    cloud_provider: defaults.cloudProvider,
    region: defaults.region,
    "availability-zone": defaults.availabilityZone,
    "cluster-name": defaults.clusterName,
    "public-keys": defaults.publicKeys,
    "base-url": defaults.baseUrl,
    "boot-subnet": defaults.bootSubnet,
    "wg-subnet": defaults.wgSubnet,
    "short-name": defaults.shortName,
    "nid-length": defaults.nidLength,
  };
}

/** `id` is the node's name, which stands in the path too. */
export const instanceInfoSchema = z
  .object({
    id: given(line),
    "instance-id": given(z.string().regex(/^[\w.:-]{1,128}$/, "must be letters, digits and . : _ -")),
    "local-hostname": given(hostname),
    hostname: given(hostname),
    "cluster-name": given(line),
    region: given(line),
    "availability-zone": given(line),
    "cloud-provider": given(line),
    "instance-type": given(line),
    "cloud-init-base-url": given(baseUrl),
    "public-keys": given(keys),
  })
  .transform((wire) => ({
    id: wire.id,
    info: {
      instanceId: wire["instance-id"],
      localHostname: wire["local-hostname"],
      hostname: wire.hostname,
      clusterName: wire["cluster-name"],
      region: wire.region,
      availabilityZone: wire["availability-zone"],
      cloudProvider: wire["cloud-provider"],
      instanceType: wire["instance-type"],
      baseUrl: wire["cloud-init-base-url"],
      publicKeys: wire["public-keys"],
    } satisfies InstanceInfo,
  }));

const fileSchema = z
  .object({
    content: z.string().nullish(),
    filename: line.nullish(),
    encoding: given(z.enum(["plain", "base64"])),
  })
  .transform(({ content, filename, encoding }) => ({
    content: content ?? "",
    filename: filename ?? "",
    encoding: encoding ?? ("plain" as const),
  }))
  .refine(({ content, encoding }) => encoding === "plain" || isBase64(content), {
    path: ["content"],
    error: "is no base64, which the encoding says that it is",
  });

function isBase64(content: string): boolean {
  const digits = content.replaceAll(/\s/g, "");
  return Buffer.from(digits, "base64").toString("base64") === digits;
}

export const groupDataSchema = z
  .object({
    name: labelSchema,
    description: given(z.string().max(4096)),
    "meta-data": z.record(z.string(), z.unknown()).nullish(),
    file: fileSchema.nullish(),
    versions: z.record(z.string(), z.string()).nullish(),
  })
  .transform((wire): GroupData => ({
    name: wire.name,
    description: wire.description,
    metaData: wire["meta-data"] ?? undefined,
    file: wire.file ?? undefined,
    versions: wire.versions ?? undefined,
  }));

export function printGroup({ name, description, metaData, file, versions }: GroupData): object {
  // Its clients expect a file, though there be nothing in it.
  return { name, description, "meta-data": metaData, file: file ?? { content: "", filename: "" }, versions };
}
