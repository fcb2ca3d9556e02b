import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { BootScripts } from "../../boot/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { dnsmasqConfig } from "../../netboot/index.ts";
import {
  canonicalXname,
  nodeStates,
  parseNode,
  type Inventory,
  type LockStore,
  type Node,
  type NodeStore,
} from "../../node/index.ts";
import { reasons, whileReserved, type Power } from "../../power/index.ts";
import { listPage, pageSchema } from "./page.ts";

export interface NodesParts {
  readonly nodes: NodeStore;
  readonly inventory: Inventory;
  readonly power: Power;
  readonly scripts: BootScripts;
  /** `host:port` of the node door, unless the operator says another. */
  readonly door: () => string;
}

const filterSchema = z.object({
  role: z.string().optional(),
  group: z.string().optional(),
  state: z.enum(nodeStates).optional(),
});
const dhcpSchema = z.object({
  door: z.string().optional(),
  interface: z.string().optional(),
  range: z.string().optional(),
});
const powerSchema = z.strictObject({
  operation: z.enum(["on", "soft-off", "force-off"]),
  /** Of the reservation under which it is done. */
  deputyKey: z.string().optional(),
});

type Named = { Params: { name: string } };

/** Nodes are named by xname, alias, nid or MAC address wherever one is named. */
export function registerNodes(app: FastifyInstance, { nodes, inventory, scripts, power, door }: NodesParts): void {
  const base = "/apis/netkiln/v1/nodes";
  const find = async (name: string): Promise<Node> => {
    const node = await nodes.find(name);
    if (node !== undefined) return node;
    throw new NetkilnError("not_found", `there is no node "${name}"`);
  };

  app.get(base, { config: { query: filterSchema.extend(pageSchema.shape) } }, async ({ query }) => {
    const filter = parseAs(filterSchema, query, "the query");
    return listPage(
      query,
      (page) => nodes.list({ ...page, ...filter }),
      ({ xname }) => xname,
    );
  });
  app.get(`${base}/dhcp-config`, { config: { query: dhcpSchema } }, async ({ query }, reply) => {
    const options = parseAs(dhcpSchema, query, "the query");
    const text = dnsmasqConfig(await nodes.list(), { ...options, door: options.door ?? door() });
    return reply.type("text/plain").send(text);
  });
  app.post(base, async ({ body }, reply) => {
    const input = parseNode(body);
    if ((await nodes.get(input.xname)) !== undefined) {
      throw new NetkilnError("conflict", `there is already a node ${input.xname}`, { hint: "use PUT to change it" });
    }
    return reply.code(201).send(await nodes.put(input));
  });
  app.put<Named>(`${base}/:name`, async ({ params, body }) => {
    const input = parseNode(typeof body === "object" && body !== null ? { xname: params.name, ...body } : body);
    if (input.xname === canonicalXname(params.name)) return nodes.put(input);
    throw new NetkilnError("invalid_input", `the path names ${params.name} but the body ${input.xname}`);
  });
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));
  app.delete<Named>(`${base}/:name`, async ({ params }, reply) => {
    const { xname } = await find(params.name);
    await nodes.remove(xname);
    return reply.code(204).send();
  });
  for (const [verb, locked] of [
    ["lock", true],
    ["unlock", false],
  ] as const) {
    app.post<Named>(`${base}/:name/${verb}`, async ({ params }) => {
      const { xname } = await find(params.name);
      await setLocked(inventory.locks, xname, locked);
      return find(xname);
    });
  }
  app.get<Named>(`${base}/:name/power`, async ({ params }) => ({ state: await power.status(await find(params.name)) }));
  app.post<Named>(`${base}/:name/power`, { config: { body: powerSchema } }, async ({ params, body }) => {
    const { operation, deputyKey } = parseAs(powerSchema, body, "the power operation");
    const node = await find(params.name);
    await whileReserved(inventory.locks, node.xname, deputyKey, (ready) =>
      operation === "on"
        ? power.on(node, ready)
        : power.off(node, operation === "force-off" ? "forced" : "graceful", ready),
    );
    const state = await power.status(node);
    await nodes.setState(node.xname, state === "on" ? "On" : "Off");
    return { state };
  });
  app.get<Named>(`${base}/:name/boot-parameters`, async ({ params }) => {
    const { entry, because } = await scripts.explain({ name: params.name });
    return { entry: entry ?? null, because };
  });
}

/** A lock that is as it should be already is no mistake. */
async function setLocked(locks: LockStore, xname: string, locked: boolean): Promise<void> {
  const { failed } = await locks.setLocked({ xnames: [xname] }, locked, "flexible");
  const reason = failed[0]?.reason;
  if (reason !== "Reserved" && reason !== "Disabled") return;
  throw new NetkilnError("refused", `${xname} ${reasons[reason]}: its lock stays as it is`, {
    hint: reason === "Reserved" ? "try again when it is released" : "repair its lock first",
  });
}
