import type { PowerState } from "./types.ts";
import type { PowerAction, Transition, TransitionTask } from "./transition-types.ts";

export type Move =
  | { readonly kind: "wait" }
  | { readonly kind: "act"; readonly action: PowerAction }
  | { readonly kind: "succeed"; readonly description: string }
  | { readonly kind: "fail"; readonly description: string; readonly error: string };

/** What is known at this moment; no power when the driver could not tell, and why. */
export interface Seen {
  readonly power: PowerState | undefined;
  readonly problem: string | undefined;
  readonly now: Date;
}

/** What PCS calls the actions in its descriptions. */
export const actionWords: Readonly<Record<PowerAction, string>> = {
  "soft-off": "gracefulshutdown",
  "force-off": "forceoff",
  on: "on",
};

export const failed = "Failed to achieve transition";

/** The next move of a task. Pure, so that it is the same after a restart. */
export function nextMove(
  { operation, deadlineMinutes }: Pick<Transition, "operation" | "deadlineMinutes">,
  task: TransitionTask,
  seen: Seen,
): Move {
  const { action } = task;
  if (action === undefined) return firstMove(operation, seen);
  const goal: PowerState = action === "on" ? "on" : "off";
  if (seen.power === goal) {
    if (action !== "on" && comesBack(operation)) return { kind: "act", action: "on" };
    return { kind: "succeed", description: `Transition confirmed, ${actionWords[action]}` };
  }
  // It was asked for when the server died, and the power is as before: it may never have reached the driver.
  if (!task.answered) return seen.power === undefined ? { kind: "wait" } : { kind: "act", action };
  if (!isOverdue(task, deadlineMinutes, seen.now)) return { kind: "wait" };
  if (action === "soft-off" && operation !== "Soft-Off") return { kind: "act", action: "force-off" };
  const why = seen.problem === undefined ? "" : ` ${seen.problem}`;
  return { kind: "fail", description: failed, error: `Timeout waiting for transition, ${actionWords[action]}.${why}` };
}

function firstMove(operation: Transition["operation"], { power, problem }: Seen): Move {
  if (power === undefined) return { kind: "fail", description: failed, error: problem ?? "The power state is unknown" };
  const already = { kind: "succeed", description: "Component already in desired state" } as const;
  switch (operation) {
    case "On":
      return power === "on" ? already : { kind: "act", action: "on" };
    case "Init":
      return { kind: "act", action: power === "on" ? "soft-off" : "on" };
    case "Force-Off":
      return power === "off" ? already : { kind: "act", action: "force-off" };
    case "Off":
    case "Soft-Off":
      return power === "off" ? already : { kind: "act", action: "soft-off" };
    case "Soft-Restart":
    case "Hard-Restart":
      if (power === "on") return { kind: "act", action: "soft-off" };
      return {
        kind: "fail",
        description: `Component must be in the On state for ${operation}`,
        error: "Component is in the wrong power state",
      };
  }
}

/** Whether the operation goes on after the power is off. */
export function comesBack(operation: Transition["operation"]): boolean {
  return operation === "Soft-Restart" || operation === "Hard-Restart" || operation === "Init";
}

function isOverdue({ actionTime }: TransitionTask, deadlineMinutes: number, now: Date): boolean {
  if (deadlineMinutes < 0 || actionTime === undefined) return false;
  return now.getTime() - Date.parse(actionTime) >= deadlineMinutes * 60_000;
}
