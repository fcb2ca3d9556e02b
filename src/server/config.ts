import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { NetkilnError } from "../lib/errors.ts";
import { parseYamlAs } from "../lib/yaml.ts";

const address = z.string().regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'must be "ADDRESS:PORT"');

/** /etc/netkiln/config.yaml, or the file that --config or NETKILN_CONFIG names. */
const schema = z.strictObject({
  /** Folder of the database, blobs and layers. */
  data: z.string().startsWith("/", "must be an absolute path").optional(),
  /** Administration over TCP, beside the unix socket; callers need a token. */
  admin_listen: address.optional(),
  /** Where booting nodes are served; on the boot network. */
  node_door_listen: address.default("127.0.0.1:8077"),
  /** `deb` lines to build Debian images from, instead of this host's own apt sources. */
  apt_sources: z.array(z.string().startsWith("deb ", 'must begin with "deb "')).min(1).optional(),
  /** How long fetched packages count as current. */
  packages_max_age_hours: z.number().positive().default(168),
  squashfs_level: z.int().min(1).max(22).default(1),
  /** Registries of OCI images: a containers-auth.json(5) with credentials, and those that are asked over plain HTTP. */
  oci: z
    .strictObject({
      auth_file: z.string().startsWith("/", "must be an absolute path").optional(),
      insecure_registries: z.array(z.string().min(1)).default([]),
    })
    .default({ insecure_registries: [] }),
  /** Builds that run at the same time. */
  builds_at_once: z.int().min(1).max(64).default(2),
  /** What `netkiln store gc` leaves; docs/lifecycle.md. */
  retention: z
    .strictObject({
      /** Images of each name, the newest. */
      keep_last: z.int().min(1).default(3),
      /** Images that are younger, and logs of builds. */
      keep_days: z.number().min(0).default(30),
      /** How long deleted images and recipes can be brought back. */
      deleted_days: z.number().min(0).default(14),
      /** Moves of each channel that can be undone. */
      channel_history: z.int().min(0).default(5),
      /** What was stored so lately is left alone, as a pointer to it may be about to be written. */
      grace_hours: z.number().min(0).default(1),
    })
    .prefault({}),
});

export type Config = Readonly<z.infer<typeof schema>> & {
  readonly data: string;
  /** Where the server listens for administration; below `data`, so that --data is enough to find it. */
  readonly socket: string;
  /** The file that was read, if there was one. */
  readonly file: string | undefined;
};

/** Longest path that fits into a unix socket's address (unix(7)), with its ending zero. */
const maxSocketPath = 107;

/** Command line over environment over file over defaults. */
export function readConfig(
  flags: { config?: string; data?: string },
  environment: NodeJS.ProcessEnv,
  overrides: { admin_listen?: string; node_door_listen?: string } = {},
): Config {
  const named = flags.config ?? environment["NETKILN_CONFIG"];
  const file = named ?? "/etc/netkiln/config.yaml";
  if (named !== undefined && !existsSync(file)) {
    throw new NetkilnError("invalid_input", `the configuration file ${file} does not exist`);
  }
  const fromFile = existsSync(file) ? parseYamlAs(schema, readFileSync(file, "utf8") || "{}", file) : schema.parse({});
  const data = resolve(flags.data ?? environment["NETKILN_DATA"] ?? fromFile.data ?? "/var/lib/netkiln");
  const socket = join(data, "netkiln.sock");
  if (Buffer.byteLength(socket) > maxSocketPath) {
    throw new NetkilnError("invalid_input", `the data folder's path is too long for a unix socket: ${socket}`);
  }
  for (const [name, value] of Object.entries(overrides)) {
    if (!address.safeParse(value).success) {
      throw new NetkilnError("invalid_input", `${name} must be "ADDRESS:PORT", not "${value}"`);
    }
  }
  return { ...fromFile, ...overrides, data, socket, file: existsSync(file) ? file : undefined };
}
