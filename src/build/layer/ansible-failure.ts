/** More would bury the error's own line, and the log has all of it. */
const toldLines = 30;

/**
 * Picks the failing task and its message, or what is wrong with the playbook itself, out of the play's output
 * (Ansible's default callback). Paths are told as they are in the repository.
 */
export function watchForFailure(repository: string) {
  let task = "";
  let failed: string[] = [];
  let inError = false;
  return {
    see: (line: string) => {
      const heading = /^(?:TASK|RUNNING HANDLER) \[(.*?)\] \**$/.exec(line);
      if (heading) task = heading[1] ?? "";
      if (/^(?:PLAY|TASK|RUNNING HANDLER) /.test(line)) inError = false;
      if (inError) failed.push(line);
      const fatal = /^(?:fatal|failed): \[[^\]]*\](?:: (\w+)!)?.*? => (.*)$/.exec(line);
      if (fatal) failed = [`task "${task}" failed: ${messageOf(fatal[2] ?? "")}`];
      // The play goes on after an ignored failure, so it was not this one.
      if (line.startsWith("...ignoring")) failed = [];
      const error = /^ERROR! (.*)$/.exec(line);
      if (error) {
        failed = [error[1] ?? line];
        inError = true;
      }
    },
    told: () =>
      failed
        .flatMap((text) => text.split("\n"))
        .filter((line) => line.trim() !== "")
        .slice(0, toldLines)
        .map((line) => line.replaceAll(`${repository}/`, "").replaceAll(repository, ".")),
  };
}

function messageOf(json: string): string {
  try {
    const result = JSON.parse(json) as { msg?: unknown; stderr?: unknown; stdout?: unknown };
    const parts = [result.msg, result.stderr, result.stdout].filter((part) => typeof part === "string" && part !== "");
    return parts.length > 0 ? parts.join("\n") : json;
  } catch {
    return json;
  }
}
