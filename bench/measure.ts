/** Clocks of the benches. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface Measured {
  /** Wall clock, seconds. */
  readonly seconds: number;
  /** Processor time of all that it started, seconds; it hardly depends on what else the machine does. */
  readonly cpu: number;
  /** What the processors of the machine did in the second before, between 0 and 1. */
  readonly busy: number;
}

/** For a machine that others use too. */
export interface Patience {
  /** How long each measurement waits until nothing else runs, seconds. */
  readonly wait: number;
}

/** The option `--wait=SECONDS`. */
export function waitOf(args: readonly string[]): number {
  return Number(/^--wait=(\d+)$/m.exec(args.join("\n"))?.[1] ?? 0);
}

const quiet = 0.1;

/**
 * Measures work that runs in children of this process, a server among them. Waits first until the machine does nothing
 * else, as long as the patience lasts.
 */
export async function measure(work: () => unknown, { wait }: Patience): Promise<Measured> {
  const deadline = performance.now() + wait * 1000;
  let busy = await busyShare();
  while (busy > quiet && performance.now() < deadline) busy = await busyShare();
  const [began, usedBefore] = [performance.now(), treeCpu(process.pid)];
  await work();
  return { seconds: (performance.now() - began) / 1000, cpu: treeCpu(process.pid) - usedBefore, busy };
}

/** The run with the median wall clock. */
export async function median(count: number, once: () => Promise<Measured>): Promise<Measured> {
  const all: Measured[] = [];
  for (let index = 0; index < count; index += 1) all.push(await once());
  all.sort((a, b) => a.seconds - b.seconds);
  return all[Math.floor(count / 2)] as Measured;
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

async function busyShare(): Promise<number> {
  const read = () => {
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = readFileSync(
      "/proc/stat",
      "utf8",
    )
      .split("\n", 1)[0]!
      .split(/\s+/)
      .slice(1)
      .map(Number);
    const busy = user + nice + system + irq + softirq + steal;
    return { busy, all: busy + idle + wait };
  };
  const before = read();
  await sleep(1000);
  const after = read();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

/** Clock ticks in a second: USER_HZ, the same on every Linux that Node runs on. */
const ticks = 100;

/**
 * Processor time of a process and of the children that it has waited for (the fields utime to cstime of proc(5)), and
 * the same of the children that it has now.
 */
export function treeCpu(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
    const own = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / ticks;
    return children.reduce((sum, child) => sum + treeCpu(Number(child)), own);
  } catch {
    // It has just ended; what it used is in its parent's account.
    return 0;
  }
}
