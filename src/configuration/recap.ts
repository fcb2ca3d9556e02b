import type { LayerStatus } from "./types.ts";

/**
 * Reads what became of each host out of a play's output (Ansible's default callback, without colours). A host that is
 * not in the recap was in no play.
 */
export function watchRecap() {
  const recapped = new Map<string, boolean>();
  let inRecap = false;
  let endedEarly = false;
  return {
    see: (line: string) => {
      if (line.startsWith("PLAY RECAP ")) inRecap = true;
      // The rest of the playbook was left out for everybody: all hosts of a play failed, or one that must not.
      if (line.startsWith("NO MORE HOSTS LEFT ")) endedEarly = true;
      const [, host, unreachable, failed] =
        (inRecap && /^(\S+)\s+: ok=\d+\s.*\bunreachable=(\d+)\s+failed=(\d+)/.exec(line)) || [];
      if (host !== undefined) recapped.set(host, Number(unreachable) > 0 || Number(failed) > 0);
    },
    /** What to write down about the hosts for which the playbook ran; `succeeded`: it ended with exit code 0. */
    outcomes: (hosts: readonly string[], succeeded: boolean): ReadonlyMap<string, LayerStatus> =>
      new Map(
        hosts.map((host) => {
          // Somebody has failed when Ansible says so; a recap that names nobody is none.
          const isTold = inRecap && (endedEarly || [...recapped.values()].includes(true));
          return [host, outcome(recapped.get(host), { succeeded, endedEarly, inRecap: isTold })];
        }),
      ),
  };
}

function outcome(
  hasFailed: boolean | undefined,
  play: { readonly succeeded: boolean; readonly endedEarly: boolean; readonly inRecap: boolean },
): LayerStatus {
  if (hasFailed === true) return "failed";
  if (play.succeeded) return hasFailed === false ? "applied" : "skipped";
  // Ansible gave up before it began, or on the way, as on a playbook that it cannot read.
  if (!play.inRecap) return "failed";
  if (play.endedEarly) return "incomplete";
  return hasFailed === false ? "applied" : "skipped";
}
