import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { NetkilnError, fromErrorRecord, type ErrorRecord } from "../../lib/errors.ts";
import type { Argv, RunOptions } from "../../lib/exec.ts";
import { runIsolated } from "../sandbox/sandbox.ts";
import { toBytePath } from "../tree/byte-paths.ts";
import { isTarHeader } from "../tree/tar-reader.ts";
import { copyAgain, EntryRules, type ArchiveSummary, type EntryKind } from "./entry-rules.ts";
import type { CpioScan } from "./scan-cpio.ts";
import { isCpioHeader, type CpioMember } from "./scan-cpio.ts";

/** What inside/scan-archive.ts prints. */
export type StreamScan =
  | { readonly kind: "tar"; readonly summary: ArchiveSummary }
  | ({ readonly kind: "cpio" } & CpioScan)
  | { readonly kind: "refused"; readonly error: ErrorRecord };

/** A program that unpacks standard input when it is called with -dc; `cat` where nothing is packed. */
export type Decompressor = "cat" | "gzip" | "xz" | "zstd" | "bzip2";

/** A root tree in an archive, as it has to be taken out. */
export type Archive =
  | { readonly kind: "tar"; readonly decompressor: Decompressor }
  | { readonly kind: "squashfs" }
  | { readonly kind: "cpio"; readonly parts: readonly CpioPart[] };

/** Cpio archives that stand one behind the other and are packed together, from `offset` of the file on. */
export interface CpioPart {
  readonly offset: number;
  readonly decompressor: Decompressor;
  readonly members: readonly CpioMember[];
}

const program = fileURLToPath(new URL("../inside/scan-archive.ts", import.meta.url));
const script = fileURLToPath(new URL("./scan-archive.sh", import.meta.url));
const headBytes = 512;

/** What an archive that was cut off is told by, in the words of gzip, xz, zstd and bzip2. */
const cutOff = /unexpected end of (file|input)|premature end|file ends unexpectedly/i;

/**
 * Finds out by its bytes what an archive is, and looks at all its entries; nothing is unpacked.
 * Throws `invalid_input` for what is no archive, a damaged one, one that is no root tree, and unsafe entries.
 */
export async function inspectArchive(file: string, options: RunOptions): Promise<Archive> {
  const { head, size } = await readHead(file, 0);
  if (head.toString("latin1", 0, 4) === "hsqs") {
    requireRoot([await listSquashfs(file, head, size, options)]);
    return { kind: "squashfs" };
  }
  const decompressor = decompressorOf(head);
  if (decompressor === undefined) throw notAnArchive(head);
  const first = await scanStream(file, 0, decompressor, options);
  if (first.kind === "tar") {
    requireRoot([first.summary]);
    return { kind: "tar", decompressor };
  }
  const parts: CpioPart[] = [{ offset: 0, decompressor, members: first.members }];
  // Microcode comes first and is not packed, so that the kernel finds it; what follows it mostly is.
  for (let { rest } = first; rest !== undefined;) {
    const before = parts.at(-1);
    if (before === undefined || before.decompressor !== "cat") throw strayBytes(rest);
    const offset = before.offset + rest;
    const next = decompressorOf((await readHead(file, offset)).head);
    if (next === undefined || next === "cat") throw strayBytes(offset);
    const scan = await scanStream(file, offset, next, options);
    if (scan.kind !== "cpio") throw strayBytes(offset);
    parts.push({ offset, decompressor: next, members: scan.members });
    rest = scan.rest;
  }
  requireRoot(parts.flatMap(({ members }) => members.filter(({ early }) => !early)));
  return { kind: "cpio", parts };
}

async function readHead(file: string, offset: number): Promise<{ head: Buffer; size: number }> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, offset);
    return { head: buffer.subarray(0, bytesRead), size };
  } finally {
    await handle.close();
  }
}

function decompressorOf(head: Buffer): Decompressor | undefined {
  const starts = (...bytes: number[]) => head.length >= bytes.length && bytes.every((byte, at) => head[at] === byte);
  if (starts(0x1f, 0x8b)) return "gzip";
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return "xz";
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  if (starts(0x42, 0x5a, 0x68)) return "bzip2";
  return isCpioHeader(head) || isTarHeader(head) ? "cat" : undefined;
}

function notAnArchive(head: Buffer): NetkilnError {
  const oldCpio = head.toString("latin1", 0, 6) === "070707" || head.readUInt16LE(0) === 0o070707;
  return new NetkilnError("invalid_input", oldCpio ? "it is a cpio archive of an old form" : "it is not an archive", {
    hint: oldCpio
      ? "make it with: cpio -o -H newc"
      : "a root tree comes as tar or cpio (plain, or packed with gzip, xz, zstd or bzip2) or as squashfs",
  });
}

function strayBytes(offset: number): NetkilnError {
  return new NetkilnError("invalid_input", `what begins at byte ${offset} of the cpio archive is none`, {
    hint: "cpio archives may stand behind each other plain, and one packed with gzip, xz, zstd or bzip2 at the end",
  });
}

async function scanStream(
  file: string,
  offset: number,
  decompressor: Decompressor,
  options: RunOptions,
): Promise<Exclude<StreamScan, { kind: "refused" }>> {
  const argv = withoutNetwork(["/bin/bash", script, file, String(offset), decompressor, process.execPath, program]);
  const { exitCode, stdout, stderr } = await runIsolated(argv, {
    name: decompressor === "cat" ? "the scan of the archive" : decompressor,
    okExitCodes: "any",
    ...(options.signal !== undefined && { signal: options.signal }),
  });
  const output = stderr.split("\n").filter((line) => line !== "");
  if (exitCode !== 0) {
    const reason = output.some((line) => cutOff.test(line)) ? "truncated" : "damaged";
    throw new NetkilnError("invalid_input", `the archive is ${reason}: ${decompressor} cannot unpack all of it`, {
      output: output.slice(-5),
      hint: copyAgain,
    });
  }
  const scan = JSON.parse(stdout) as StreamScan;
  if (scan.kind === "refused") throw fromErrorRecord(scan.error);
  return scan;
}

/** One line of `unsquashfs -lln`: mode, owner, size or device numbers, date, time, path. */
const squashfsLine = /^([-dlcbps])\S{9} \d+\/\d+ +\d+(?:, *\d+)? \d{4}-\d\d-\d\d \d\d:\d\d root\/(.*)$/;
const squashfsKinds: Readonly<Record<string, EntryKind>> = {
  "-": "file",
  d: "directory",
  l: "symlink",
  c: "device",
  b: "device",
  p: "fifo",
  s: "socket",
};

/** In a squashfs no name has "/" or is "..", and unsquashfs sees to that; what remains to be found are devices. */
async function listSquashfs(file: string, head: Buffer, size: number, options: RunOptions): Promise<ArchiveSummary> {
  // bytes_used, at 40: https://dr-emann.github.io/squashfs/squashfs.html#_the_superblock
  const used = head.length < 96 ? Infinity : Number(head.readBigUInt64LE(40));
  if (used > size) {
    throw new NetkilnError("invalid_input", `the squashfs is truncated: ${size} bytes are there of ${used}`, {
      hint: copyAgain,
    });
  }
  const rules = new EntryRules();
  const argv = withoutNetwork(["unsquashfs", "-no-progress", "-dest", "root", "-lln", file]);
  await runIsolated(argv, {
    name: "unsquashfs",
    ...(options.signal !== undefined && { signal: options.signal }),
    onLine: (line, stream) => {
      const [, kind = "", path = ""] = squashfsLine.exec(line) ?? [];
      const known = squashfsKinds[kind];
      if (stream === "stdout" && known !== undefined) {
        rules.add({ path: toBytePath(known === "symlink" ? path.replace(/ -> .*$/, "") : path), kind: known });
      }
    },
  }).catch((error: unknown) => {
    if (!(error instanceof NetkilnError)) throw error;
    throw new NetkilnError("invalid_input", "the squashfs is damaged: unsquashfs cannot read it", {
      output: error.output.slice(-5),
      hint: copyAgain,
      detail: error,
    });
  });
  return rules.finish();
}

/** What every system has, in whatever way it came together. */
const rootFolders = ["etc", "usr"];

function requireRoot(summaries: readonly ArchiveSummary[]): void {
  const tops = new Set(summaries.flatMap((summary) => summary.tops));
  const missing = rootFolders.filter((folder) => !tops.has(folder));
  if (missing.length === 0) return;
  const [only] = tops;
  throw new NetkilnError(
    "invalid_input",
    `it holds no root tree: ${missing.map((name) => `/${name}`).join(" and ")} ${missing.length === 1 ? "is" : "are"} not there`,
    {
      hint:
        tops.size === 1
          ? `all is below "${only}": make it from inside that folder (tar -C ${only} -c .)`
          : "make it from the root of a whole system",
    },
  );
}

/** An own network namespace besides what runIsolated has: nothing here needs to reach anything. */
export function withoutNetwork(argv: Argv): Argv {
  return ["unshare", "--net", "--", ...argv];
}
