import { join } from "node:path";
import { NetkilnError } from "../lib/errors.ts";

/** Where no other is named. */
export const usualData = "/var/lib/netkiln";
/** Read when it is there and no other is named. */
export const usualConfig = "/etc/netkiln/config.yaml";

/** Longest path that fits into a unix socket's address (unix(7)), with its ending zero. */
const maxSocketPath = 107;

/** Where the server of a data folder listens for administration: its data folder is enough to find it. */
export function socketIn(data: string): string {
  const socket = join(data, "netkiln.sock");
  if (Buffer.byteLength(socket) <= maxSocketPath) return socket;
  throw new NetkilnError("invalid_input", `the data folder's path is too long for a unix socket: ${socket}`);
}
