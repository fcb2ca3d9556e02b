import type { Node } from "../node/index.ts";

export type PowerState = "on" | "off";

/** One way to switch a node's power. Everything here may be called again without harm. */
export interface PowerDriver {
  status(node: Node): Promise<PowerState>;
  /** Returns when the power is on, at once when it is already. Throws `work_failed` with what the driver said. */
  on(node: Node, ready?: Ready): Promise<void>;
  /** `graceful` asks the node's system to shut down and returns at once; `forced` returns when the power is off. */
  off(node: Node, how: "graceful" | "forced", ready?: Ready): Promise<void>;
}

/** Called when a node's turn has come, which may be late; what it throws leaves the power as it is. */
export type Ready = () => Promise<void>;

/** What was seen of a node's power, and when. */
export interface Sighting {
  readonly state: PowerState;
  readonly time: Date;
}

/** Every node's power, by whichever driver. */
export interface Power extends PowerDriver {
  /** As `status`, but what was seen a moment ago counts, if the power was not switched since. */
  recent(node: Node): Promise<Sighting>;
}
