import type { Node } from "../../node/index.ts";
import type { BootRecords, EventStore } from "../../telemetry/index.ts";
import type { CloudInitStore } from "./store.ts";
import type { PhoneHome } from "./types.ts";

export interface PhoneHomeParts {
  readonly cloudInit: CloudInitStore;
  readonly boots: BootRecords;
  readonly events: EventStore;
}

/** A node says that cloud-init is done. It says so again until it is heard, and that is no event any more. */
export async function hearPhoneHome(
  { cloudInit, boots, events }: PhoneHomeParts,
  { xname }: Node,
  said: PhoneHome,
): Promise<void> {
  const boot = (await boots.latest(xname))?.id;
  if (!(await cloudInit.putPhoneHome(xname, said, boot))) return;
  await events.record(`node:${xname}`, "cloud-init.phone-home", { ...said, ...(boot !== undefined && { boot }) });
}
