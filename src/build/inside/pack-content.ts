/**
 * Stores the contents of files in a content pack, in a process of its own: it keeps all processors busy. Reads
 * {files, pack, level} as JSON from standard input, and prints the size of the pack as JSON.
 */
import { json } from "node:stream/consumers";
import { packContent } from "../output/squashfs/content-pack.ts";
import type { ContentFile } from "../output/squashfs/plan-blocks.ts";

interface Request {
  readonly files: readonly ContentFile[];
  readonly pack: string;
  readonly level: number;
}

const { files, pack, level } = (await json(process.stdin)) as Request;
try {
  process.stdout.write(JSON.stringify(await packContent(files, pack, { level })));
} catch (error) {
  // A full disk, or a layer that changed: what there is to know is in the message.
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
