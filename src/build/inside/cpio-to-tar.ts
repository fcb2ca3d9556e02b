/** Runs in a sandbox: writes one of the cpio archives that stand behind each other on standard input as a tar archive. */
import { once } from "node:events";
import { ByteReader } from "../../lib/byte-reader.ts";
import { cpioToTar } from "../base/cpio-to-tar.ts";

const reader = new ByteReader(process.stdin);
await cpioToTar(reader, Number(process.argv[2]), async (bytes) => {
  if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
});
// Whoever writes this stream may not be cut off, which would look like a failure of its own.
while ((await reader.skip(1 << 20)) > 0);
