/** From the most that one may do to the least; each may do what those behind it may. */
export const roles = ["admin", "operator", "reader"] as const;
export type Role = (typeof roles)[number];

interface Rule {
  /** Of a route, as it is registered: with `:name` where a name stands. */
  readonly path: RegExp;
  /** All when not given. */
  readonly methods?: readonly string[];
  readonly least: Role;
}

const reading = ["GET", "HEAD"];

/** Who may do what. The first rule that fits counts. */
const rules: readonly Rule[] = [
  // Who gets in, and by what.
  { path: /^\/apis\/netkiln\/v1\/(accounts|tokens|tenants|certificate)\b/, least: "admin" },
  // What cannot be brought back.
  { path: /^\/apis\/netkiln\/v1\/store\/gc-runs$/, methods: ["POST"], least: "admin" },
  { path: /^\/apis\/netkiln\/v1\/images\/:name\/destroy$/, least: "admin" },
  { path: /^\/apis\/ims\/(v\d\/)?deleted\//, methods: ["DELETE"], least: "admin" },
  // Data of a node as the node itself gets them, with whatever is secret in them.
  { path: /\/admin\/impersonation\//, least: "admin" },
  { path: /\/secrets\b/, methods: reading, least: "operator" },
  // Cloud-init data as somebody has put them.
  { path: /\/cloud-init\/admin\/groups\b/, methods: reading, least: "operator" },
  { path: /\/boot\/v1\/(bootparameters|dumpstate)$/, methods: reading, least: "operator" },
  { path: /\/nodes\/:name\/boot-parameters$/, methods: reading, least: "operator" },
  // Questions that are too long for a URL.
  { path: /\/(locks\/status|reservations\/check|power-status|builds\/plan|store\/gc-plans)$/, least: "reader" },
  { path: /\/State\/Components\/(ByNID\/)?Query$/, least: "reader" },
  // Nothing is pushed: what git fetches is asked for by POST.
  { path: /^\/vcs\//, least: "reader" },
  { path: /^/, methods: reading, least: "reader" },
  { path: /^/, least: "operator" },
];

/** The least role that may call a route. */
export function leastRole(method: string, path: string): Role {
  const rule = rules.find((one) => one.path.test(path) && (one.methods?.includes(method) ?? true));
  return rule?.least ?? "admin";
}

export function mayAct(role: Role, least: Role): boolean {
  return roles.indexOf(role) <= roles.indexOf(least);
}

/**
 * What `ochami` reads without a token: `smd component get`, `smd iface get`, `bss boot script get`, `bss hosts get`,
 * `bss history`, and `service status` of them and of pcs. Only where the configuration says so. Its `bss dumpstate` sends
 * none either, and is refused: the dump holds the cloud-init data of all nodes.
 */
const openReads = [
  /\/hsm\/v2\/State\/Components$/,
  /\/hsm\/v2\/Inventory\/EthernetInterfaces$/,
  /\/hsm\/v2\/service\/(ready|values)$/,
  /\/boot\/v1\/(bootscript|hosts|endpoint-history)$/,
  /\/boot\/v1\/service\/(status|status\/all|version|hsm|storage\/status)$/,
  /^(\/apis\/power-control\/v1)?\/(liveness|readiness|health)$/,
];

export function isOpenRead(method: string, path: string): boolean {
  return reading.includes(method) && openReads.some((open) => open.test(path));
}
