import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Names a process so that it can be told apart from a later one with the same number:
 * `HOST:PID:START`, START in clock ticks since the boot (proc(5), /proc/PID/stat field 22).
 */
export function processName(pid: number = process.pid): string {
  return `${hostname()}:${pid}:${startTime(pid) ?? "gone"}`;
}

/** Whether the process of that name is known to be gone; a process on another host is never known to be. */
export function isKnownDead(name: string): boolean {
  const [host, pid, start] = name.split(":");
  if (host !== hostname()) return false;
  return startTime(Number(pid)) !== start;
}

function startTime(pid: number): string | undefined {
  try {
    // The command name stands in parentheses and may hold anything, so count fields after the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
