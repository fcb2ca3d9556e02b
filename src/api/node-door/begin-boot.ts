import { doorUrl, type AccessLog, type FoundScript, type NodeIdentities } from "../../boot/index.ts";
import type { BootRecords } from "../../telemetry/index.ts";

export interface BeginBootParts {
  readonly accesses: AccessLog;
  readonly boots: BootRecords;
  readonly identities: NodeIdentities;
}

export interface Fetch {
  /** How the node reached this door, which is how it will reach it again. */
  readonly door: string;
  readonly retry: number;
  readonly address: string | undefined;
}

/** The script as this node gets it now, once the boot that it belongs to is on the disk. */
export async function bootingScript(
  { accesses, boots, identities }: BeginBootParts,
  { xname, because, target, print }: FoundScript,
  { door, retry, address }: Fetch,
): Promise<string> {
  if (xname === undefined) return print({ door, retry });
  // What cannot be printed begins no boot.
  doorUrl(door);
  accesses.note(xname, "bootscript");
  const bootId = await boots.forScript(xname, { retry, target, detail: { because, address } });
  return print({ door, retry, bootId, token: identities.tokenFor(xname, bootId, address) });
}
