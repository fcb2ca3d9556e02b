import { mkdir, readFile, writeFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { run } from "../lib/exec.ts";
import { writeFileAtomic } from "../lib/files.ts";
import { log } from "../lib/log.ts";

export type Accelerator = "kvm" | "tcg";

const qemu = "qemu-system-x86_64";
const answerSchema = z.object({ bootId: z.string(), accelerator: z.enum(["kvm", "tcg"]) });

/**
 * A boot sector that writes 0x2a to port 0x501 and halts: mov al,0x2a; mov dx,0x501; out dx,al; cli; hlt; jmp $-1.
 * QEMU's isa-debug-exit device there ends QEMU with exit code 2 * 0x2a + 1.
 */
const trySector = Buffer.alloc(512);
trySector.set([0xb0, 0x2a, 0xba, 0x01, 0x05, 0xee, 0xfa, 0xf4, 0xeb, 0xfd]);
trySector.set([0x55, 0xaa], 510);
const tryExitCode = 2 * 0x2a + 1;
const tryMs = 5000;

/**
 * Whether KVM runs guests here, found out by running one: that /dev/kvm is there and opens says little, nested
 * virtualisation may hang or fail only when a guest runs. The answer is kept until the machine boots again.
 */
export async function findAccelerator(dataDir: string): Promise<Accelerator> {
  const file = join(dataDir, "accelerator.json");
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const known = answerSchema.safeParse(JSON.parse(await readFile(file, "utf8").catch(() => "null")));
  if (known.success && known.data.bootId === bootId) return known.data.accelerator;
  const accelerator = (await runsGuest("kvm", dataDir)) ? "kvm" : "tcg";
  log.info({ accelerator }, "virtual nodes: accelerator found");
  await writeFileAtomic(file, JSON.stringify({ bootId, accelerator }));
  return accelerator;
}

/** Runs the boot sector under that accelerator; false when it does not come to its end in five seconds. */
export async function runsGuest(accelerator: Accelerator, folder: string): Promise<boolean> {
  const image = join(folder, "accelerator-try.img");
  await mkdir(folder, { recursive: true });
  await writeFile(image, trySector);
  const argv = [
    qemu,
    ...["-accel", accelerator, "-cpu", cpuModel(accelerator), "-m", "16", "-nodefaults", "-display", "none"],
    ...["-no-reboot", "-drive", `if=floppy,format=raw,readonly=on,file=${image.replaceAll(",", ",,")}`],
    ...["-device", "isa-debug-exit,iobase=0x501,iosize=1"],
  ] as const;
  try {
    const { exitCode } = await run(argv, { timeoutMs: tryMs, okExitCodes: "any" });
    return exitCode === tryExitCode;
  } catch {
    // QEMU itself aborts where the kernel's KVM is too limited.
    return false;
  } finally {
    await rm(image, { force: true });
  }
}

export function cpuModel(accelerator: Accelerator): string {
  return accelerator === "kvm" ? "host" : "max";
}
