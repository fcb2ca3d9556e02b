import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import { typeOfXname, type Node, type NodeStore } from "../node/index.ts";
import { powerOperations, type PowerOperation } from "./transition-types.ts";
import type { Power, PowerState } from "./types.ts";

export interface PowerStatus {
  readonly xname: string;
  readonly power: PowerState | "undefined";
  /** Whether its driver answers. */
  readonly management: "available" | "unavailable";
  readonly error: string | undefined;
  readonly supported: readonly PowerOperation[];
  /** When its driver was asked; undefined when there is none. */
  readonly time: Date | undefined;
}

export interface StatusParts {
  readonly nodes: NodeStore;
  readonly power: Power;
}

/** How the power of these components is, in their order; of every node when none are named. */
export async function readPowerStatus(
  { nodes, power }: StatusParts,
  xnames: readonly string[] | undefined,
): Promise<PowerStatus[]> {
  const found = await nodes.list({ xnames });
  const nodeOf = new Map(found.map((node) => [node.xname, node]));
  const names = xnames ?? [...nodeOf.keys()];
  return Promise.all(
    names.map(async (xname) => {
      const node = nodeOf.get(xname);
      return node === undefined ? withoutPower(xname) : statusOf(power, node);
    }),
  );
}

async function statusOf(power: Power, node: Node): Promise<PowerStatus> {
  // Every driver can do what every operation is made of: on, off politely, off by force.
  const common = { xname: node.xname, supported: powerOperations };
  try {
    const { state, time } = await power.recent(node);
    return { ...common, power: state, management: "available", error: undefined, time };
  } catch (error) {
    if (!(error instanceof NetkilnError)) log.error({ error, node: node.xname }, "the power cannot be looked at");
    const text = error instanceof NetkilnError ? error.message : "an unexpected error happened";
    return { ...common, power: "undefined", management: "unavailable", error: text, time: clock.now() };
  }
}

function withoutPower(xname: string): PowerStatus {
  const type = typeOfXname(xname);
  const error = type === "Node" ? "Component not found" : `No power control for component type ${type ?? "unknown"}`;
  return { xname, power: "undefined", management: "unavailable", error, supported: [], time: undefined };
}
