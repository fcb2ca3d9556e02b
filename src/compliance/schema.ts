import { z } from "zod";
import { readMatcher, readTextMatcher, type Expectation, type ReportMistake } from "./matcher.ts";

/**
 * The YAML (or JSON) form of goss's checks: a map of resource types, each a map of resources by their id.
 * Source: the structs in goss's resource/*.go, version 0.4.
 */

const about = {
  title: z.string().optional(),
  meta: z.record(z.string(), z.unknown()).optional(),
  skip: z.boolean().optional(),
};

const milliseconds = z.number().int().min(0);

const required = z.unknown().transform((raw, context): Expectation => {
  const report = reporter(context);
  if (raw === undefined) report([], "is missing; goss requires this attribute");
  return {
    raw,
    matcher: raw === undefined ? { op: "and", matchers: [] } : readMatcher(raw, report),
  };
});

const optional = z
  .unknown()
  .transform((raw, context): Expectation => ({ raw, matcher: readMatcher(raw, reporter(context)) }))
  .optional();

/** Where a list holds line patterns; an empty list asserts nothing. */
const optionalText = z
  .unknown()
  .transform((raw, context): Expectation | undefined => {
    const matcher = readTextMatcher(raw, reporter(context));
    return matcher === undefined ? undefined : { raw, matcher };
  })
  .optional();

const nothing = z.unknown().optional();

function reporter(context: z.core.$RefinementCtx): ReportMistake {
  return (path, message) => context.addIssue({ code: "custom", path: [...path], message });
}

export function isAbsolutePath(path: string): boolean {
  return path.startsWith("/") && !path.includes("\0");
}

export const pathRule = "must be an absolute path inside the image";

const file = z
  .strictObject({
    ...about,
    path: z.string().refine(isAbsolutePath, pathRule).optional(),
    exists: required,
    mode: optional,
    owner: optional,
    uid: optional,
    group: optional,
    gid: optional,
    "linked-to": optional,
    filetype: optional,
    contents: optionalText,
    /** The name of `contents` before goss 0.4. */
    contains: optionalText,
    size: optional,
    md5: optional,
    sha256: optional,
    sha512: optional,
  })
  .refine((attributes) => attributes.contents === undefined || attributes.contains === undefined, {
    path: ["contains"],
    message: 'is the old name of "contents"; write only one of them',
  });

const packageSchema = z.strictObject({
  ...about,
  name: z.string().optional(),
  installed: required,
  versions: optional,
  retry_count: nothing,
  retry_delay: nothing,
});

const user = z.strictObject({
  ...about,
  username: z.string().optional(),
  exists: required,
  uid: optional,
  gid: optional,
  home: optional,
  groups: optional,
  shell: optional,
});

const group = z.strictObject({
  ...about,
  groupname: z.string().optional(),
  exists: required,
  gid: optional,
});

const service = z.strictObject({
  ...about,
  name: z.string().optional(),
  enabled: optional,
  running: optional,
  runlevels: optional,
});

const kernelParam = z.strictObject({ ...about, name: z.string().optional(), value: required });

const command = z.strictObject({
  ...about,
  exec: z.string().min(1).optional(),
  "exit-status": required,
  stdout: optionalText,
  stderr: optionalText,
  timeout: milliseconds.optional(),
  retry_count: z.number().int().min(0).optional(),
  retry_delay: z.union([milliseconds, z.string()]).optional().transform(readDelay),
});

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds; a text is a duration of Go ("500ms", "1m30s") or milliseconds again (goss resource/retry.go). */
function readDelay(value: number | string | undefined, context: z.core.$RefinementCtx): number | undefined {
  if (typeof value !== "string") return value;
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  if (/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
    return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (durationUnits[unit ?? ""] ?? 0), 0);
  }
  context.addIssue({
    code: "custom",
    message: 'must be milliseconds or a duration such as "500ms" or "2s"',
  });
  return undefined;
}

const gossfile = z.strictObject({ ...about, file: z.string().optional() });

/** A type that only a booted node can answer: its attributes are known, what they expect is not read. */
function needsNode(asserted: readonly string[], others: readonly string[]) {
  const attributes = Object.fromEntries([...asserted, ...others].map((name) => [name, nothing]));
  return { asserted, schema: z.strictObject({ ...about, ...attributes }) };
}

export const deferredTypes = {
  addr: needsNode(["reachable"], ["address", "local-address", "timeout"]),
  dns: needsNode(
    ["resolvable", "resolveable", "addrs"],
    ["resolve", "server", "timeout", "retry_count", "retry_delay"],
  ),
  http: needsNode(
    ["status", "headers", "body"],
    [
      "url",
      "method",
      "allow-insecure",
      "no-follow-redirects",
      "timeout",
      "request-headers",
      "request-body",
      "username",
      "password",
      "ca-file",
      "cert-file",
      "key-file",
      "proxy",
    ],
  ),
  interface: needsNode(["exists", "addrs", "mtu"], ["name"]),
  matching: needsNode(["matches"], ["content", "as-reader"]),
  mount: needsNode(["exists", "opts", "vfs-opts", "source", "filesystem", "usage"], ["mountpoint", "timeout"]),
  port: needsNode(["listening", "ip"], ["port"]),
  process: needsNode(["running"], ["comm"]),
} as const;

export const checksSchema = z.strictObject({
  file: z.record(z.string(), file).optional(),
  package: z.record(z.string(), packageSchema).optional(),
  user: z.record(z.string(), user).optional(),
  group: z.record(z.string(), group).optional(),
  service: z.record(z.string(), service).optional(),
  "kernel-param": z.record(z.string(), kernelParam).optional(),
  command: z.record(z.string(), command).optional(),
  addr: z.record(z.string(), deferredTypes.addr.schema).optional(),
  dns: z.record(z.string(), deferredTypes.dns.schema).optional(),
  http: z.record(z.string(), deferredTypes.http.schema).optional(),
  interface: z.record(z.string(), deferredTypes.interface.schema).optional(),
  matching: z.record(z.string(), deferredTypes.matching.schema).optional(),
  mount: z.record(z.string(), deferredTypes.mount.schema).optional(),
  port: z.record(z.string(), deferredTypes.port.schema).optional(),
  process: z.record(z.string(), deferredTypes.process.schema).optional(),
  gossfile: z.record(z.string(), gossfile).optional(),
});

export type ChecksDocument = z.infer<typeof checksSchema>;
