/** Named as PCS prints them. */
export const powerOperations = ["On", "Off", "Soft-Off", "Soft-Restart", "Hard-Restart", "Init", "Force-Off"] as const;
export type PowerOperation = (typeof powerOperations)[number];

export type TransitionStatus = "new" | "in-progress" | "completed" | "aborted" | "abort-signaled";
export type TaskStatus = "new" | "in-progress" | "failed" | "succeeded" | "unsupported";

/** What a driver is asked for. */
export type PowerAction = "soft-off" | "force-off" | "on";

export type TaskCounts = Readonly<Record<TaskStatus, number>>;

/** One operation on many components. */
export interface Transition {
  readonly id: string;
  readonly operation: PowerOperation;
  /** How long each step of a task may take; 0: nothing is waited for, negative: without end. */
  readonly deadlineMinutes: number;
  readonly created: string;
  /** When the record goes. */
  readonly expires: string;
  readonly status: TransitionStatus;
  readonly counts: TaskCounts;
}

/** One component of a transition. */
export interface TransitionTask {
  readonly xname: string;
  readonly status: TaskStatus;
  readonly description: string;
  readonly error: string | undefined;
  /** Shows that the component is reserved for this: by whoever asked, or by this transition itself. */
  readonly deputyKey: string | undefined;
  /** Of this transition's own reservation. */
  readonly reservationKey: string | undefined;
  /** What the driver was asked for last, written before it is asked. */
  readonly action: PowerAction | undefined;
  /** UTC with milliseconds. */
  readonly actionTime: string | undefined;
  /** Whether the driver has answered. When it has not, a server died in between, and nobody knows. */
  readonly answered: boolean;
}

export function isOver({ status }: TransitionTask): boolean {
  return status !== "new" && status !== "in-progress";
}
