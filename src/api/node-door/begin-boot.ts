import { doorUrl, type AccessLog, type FoundScript, type NodeIdentities } from "../../boot/index.ts";
import type { BootRecords, ScriptFetch } from "../../telemetry/index.ts";

export interface BeginBootParts {
  readonly accesses: AccessLog;
  readonly boots: BootRecords;
  readonly identities: NodeIdentities;
}

/** A script, and who asks for it. */
export interface Fetched {
  readonly script: FoundScript;
  /** How the node reached this door, which is how it will reach it again. */
  readonly door: string;
  readonly retry: number;
  readonly address: string | undefined;
}

/** What is written down before the script goes out; undefined when it begins no boot. Throws when it cannot be printed. */
export function bootOf({ accesses }: BeginBootParts, fetched: Fetched): ScriptFetch | undefined {
  const { script, door, retry, address } = fetched;
  const { xname, target, because } = script;
  if (xname === undefined) return undefined;
  doorUrl(door);
  accesses.note(xname, "bootscript");
  return { xname, retry, target, detail: { because, address } };
}

/** The script as this node gets it in this boot, which is on the disk; or in none. */
export function printFor({ identities }: BeginBootParts, fetched: Fetched, bootId: string | undefined): string {
  const { script, door, retry, address } = fetched;
  if (script.xname === undefined || bootId === undefined) return script.print({ door, retry });
  return script.print({ door, retry, bootId, token: identities.tokenFor(script.xname, bootId, address) });
}
