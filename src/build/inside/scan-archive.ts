/**
 * Runs in a sandbox without a network: reads an unpacked tar or cpio stream of others from standard input, and prints
 * what it holds, or why it is refused, as JSON.
 */
import { ByteReader } from "../../lib/byte-reader.ts";
import type { StreamScan } from "../base/inspect.ts";
import { isCpioHeader, scanCpio } from "../base/scan-cpio.ts";
import { scanRootTar } from "../base/scan-root-tar.ts";
import { isTarHeader } from "../tree/tar-reader.ts";
import { NetkilnError, toErrorRecord } from "../../lib/errors.ts";

const reader = new ByteReader(process.stdin);

async function scan(): Promise<StreamScan> {
  const head = await reader.peek(512);
  if (isCpioHeader(head)) return { kind: "cpio", ...(await scanCpio(reader)) };
  if (isTarHeader(head)) return { kind: "tar", summary: await scanRootTar(reader) };
  throw new NetkilnError("invalid_input", "it holds neither a tar nor a cpio archive");
}

const answer: StreamScan = await scan().catch((error: unknown) => ({ kind: "refused", error: toErrorRecord(error) }));
process.stdout.write(JSON.stringify(answer));
// Whoever writes this stream may not be cut off: that would be told instead of the writer's own error.
while ((await reader.skip(1 << 20)) > 0);
