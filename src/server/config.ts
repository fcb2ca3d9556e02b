import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { NetkilnError } from "../lib/errors.ts";
import { parseYamlAs } from "../lib/yaml.ts";
import { socketIn, usualConfig, usualData } from "./data-folder.ts";

const address = z.string().regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'must be "ADDRESS:PORT"');

function isBelow(url: string, gateway: string | undefined): boolean {
  return (
    gateway !== undefined &&
    URL.canParse(gateway) &&
    URL.canParse(url) &&
    new URL(url).origin === new URL(gateway).origin
  );
}
const absolute = z.string().startsWith("/", "must be an absolute path");

/** What a host may be called (RFC 1123), or its address. */
export const hostName = z
  .string()
  .refine(
    (name) => isIP(name) !== 0 || /^(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$/.test(name),
    "is no host name",
  );
const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: "must be an address, or a network such as 10.1.0.0/16",
});

/** /etc/netkiln/config.yaml, or the file that --config or NETKILN_CONFIG names. */
const schema = z.strictObject({
  /** Folder of the database, blobs and layers. */
  data: absolute.optional(),
  /** Administration over TCP, beside the unix socket; callers need a token. */
  admin_listen: address.optional(),
  /** TLS there: with a certificate of the site's own, or with one that is made for more names than are known anyway. */
  admin_tls: z
    .union([
      z.boolean(),
      z.strictObject({ certificate: absolute, key: absolute }),
      z.strictObject({ names: z.array(hostName).min(1) }),
    ])
    .optional(),
  /** What clients call it, where that is something else than the address that it listens on. */
  admin_url: z
    .string()
    .regex(/^https?:\/\/[^\s/]+$/, "must be https://HOST or https://HOST:PORT")
    .refine(URL.canParse, "is no URL")
    .optional(),
  /** Whether components, interfaces and boot scripts are read without a token there, as in OpenCHAMI. */
  open_reads: z.boolean().default(false),
  /** How long a login of an account is good for, without being renewed. */
  access_token_hours: z.number().positive().max(8760).default(24),
  /** Where booting nodes are served; on the boot network. */
  node_door_listen: address.default("127.0.0.1:8077"),
  /** Proxies whose X-Forwarded-For is believed; from everybody else the header says nothing. */
  trusted_proxies: z.array(network).default([]),
  /** Addresses behind which several nodes stand (NAT): they do not say which of them asks. */
  shared_addresses: z.array(network).default([]),
  /** `deb` lines to build Debian images from, instead of this host's own apt sources. */
  apt_sources: z.array(z.string().startsWith("deb ", 'must begin with "deb "')).min(1).optional(),
  /** How long fetched packages count as current. */
  packages_max_age_hours: z.number().positive().default(168),
  squashfs_level: z.int().min(1).max(22).default(1),
  /** Registries of OCI images: a containers-auth.json(5) with credentials, and those that are asked over plain HTTP. */
  oci: z
    .strictObject({
      auth_file: absolute.optional(),
      insecure_registries: z.array(z.string().min(1)).default([]),
    })
    .default({ insecure_registries: [] }),
  /** Boot scripts; docs/bss.md. */
  boot: z
    .strictObject({
      /** Nodes of these roles boot only what was said for them or for their role, never what is there for Default. */
      blocked_roles: z.array(z.string().min(1)).default([]),
      /** Seconds before a node that could not boot asks again. */
      retry_delay: z.int().min(1).max(3600).default(30),
    })
    .prefault({}),
  /** Sessions on live nodes that run at the same time, each on as many as its batch has. */
  configuration_sessions_at_once: z.int().min(1).max(64).default(4),
  /** Whether a node that shows another key than before is refused; nodes whose images bring no key make one at each boot. */
  node_host_keys: z.enum(["accept-new", "off"]).default("accept-new"),
  /** Where the shells of IMS jobs listen. */
  image_ssh: z
    .strictObject({
      address: z.string().min(1).default("127.0.0.1"),
      /** What clients are told in its place. */
      host: z.string().min(1).optional(),
      first_port: z.int().min(1024).max(65_535).default(2022),
      last_port: z.int().min(1024).max(65_535).default(2085),
      /** How long one may stay open. */
      hours: z.number().positive().max(500).default(24),
    })
    .refine(({ first_port, last_port }) => first_port <= last_port, "first_port comes behind last_port")
    .prefault({}),
  /** Builds that run at the same time. */
  builds_at_once: z.int().min(1).max(64).default(2),
  /** What `sat` asks beside the services: repositories for git and a few reads of Kubernetes. Off without it; docs/sat.md. */
  sat: z
    .strictObject({
      /** How clients reach this server. */
      gateway: z.url({ protocol: /^https?$/, error: "must be http://HOST or https://HOST" }).optional(),
      /** Repositories by their path below /vcs: absolute paths on this machine, or URLs that are mirrored. */
      repositories: z
        .record(
          z.string().regex(/^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)*(?<!\.git)$/, "must be a path such as cray/NAME"),
          z.string().regex(/^\/|^[a-z][a-z+]*:\/\//, "must be an absolute path or a URL"),
        )
        .default({}),
    })
    .refine(({ gateway, repositories }) => Object.values(repositories).every((url) => !isBelow(url, gateway)), {
      error: "no repository may be mirrored from the gateway itself",
      path: ["repositories"],
    })
    .optional(),
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
      /** Boots of each node, the newest. */
      keep_boots: z.int().min(1).default(10),
      /** Boots that are younger, with their tokens and accesses. */
      boot_days: z.number().min(0).default(30),
      event_days: z.number().min(0).default(90),
      /** What was stored so lately is left alone, as a pointer to it may be about to be written. */
      grace_hours: z.number().min(0).default(1),
    })
    .prefault({}),
});

export type Config = Readonly<z.infer<typeof schema>> & {
  readonly data: string;
  /** Where the server listens for administration. */
  readonly socket: string;
  /** The file that was read, if there was one. */
  readonly file: string | undefined;
};

/** Command line over environment over file over defaults. TLS that is asked for is TLS as the file has it. */
export function readConfig(
  flags: { config?: string; data?: string },
  environment: NodeJS.ProcessEnv,
  overrides: Partial<Pick<z.infer<typeof schema>, "admin_listen" | "admin_tls" | "node_door_listen">> = {},
): Config {
  const named = flags.config ?? environment["NETKILN_CONFIG"];
  const file = named ?? usualConfig;
  if (named !== undefined && !existsSync(file)) {
    throw new NetkilnError("invalid_input", `the configuration file ${file} does not exist`);
  }
  const fromFile = existsSync(file) ? parseYamlAs(schema, readFileSync(file, "utf8") || "{}", file) : schema.parse({});
  const data = resolve(flags.data ?? environment["NETKILN_DATA"] ?? fromFile.data ?? usualData);
  const socket = socketIn(data);
  for (const name of ["admin_listen", "node_door_listen"] as const) {
    const value = overrides[name];
    if (value !== undefined && !address.safeParse(value).success) {
      throw new NetkilnError("invalid_input", `${name} must be "ADDRESS:PORT", not "${value}"`);
    }
  }
  const asConfigured = overrides.admin_tls === true && typeof fromFile.admin_tls === "object";
  const tls = asConfigured ? { admin_tls: fromFile.admin_tls } : {};
  return { ...fromFile, ...overrides, ...tls, data, socket, file: existsSync(file) ? file : undefined };
}
