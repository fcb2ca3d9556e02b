import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import { typeOfXname, type LockFailure, type LockStore, type Node, type NodeStore } from "../node/index.ts";
import { actionWords, comesBack, failed, nextMove, type Move, type Seen } from "./next-move.ts";
import { holdReservations, reasons, releaseReservations } from "./reserve.ts";
import type { TransitionStore } from "./transition-store.ts";
import { isOver, type PowerAction, type Transition, type TransitionTask } from "./transition-types.ts";
import type { PowerDriver } from "./types.ts";

export interface TransitionParts {
  readonly transitions: TransitionStore;
  readonly nodes: NodeStore;
  readonly inventory: { readonly locks: LockStore };
  /** It bounds how many nodes are asked or switched at the same time. */
  readonly power: PowerDriver;
}

/** Tasks whose records are read and written together; between them the transition can be aborted or stopped. */
const tasksAtOnce = 256;

/**
 * Every move of a transition that can be made now. All that it knows stands in the database, so it may be stopped
 * anywhere and called again.
 */
export async function advanceTransition(parts: TransitionParts, id: string, signal?: AbortSignal): Promise<void> {
  const { transitions } = parts;
  const transition = await transitions.begin(id);
  if (transition === undefined) return;
  const left = (await transitions.tasks(id)).filter((task) => !isOver(task));
  for (let start = 0; start < left.length; start += tasksAtOnce) {
    if (signal?.aborted) return;
    if (await transitions.isAborting(id)) return abort(parts, transition);
    let tasks = left.slice(start, start + tasksAtOnce);
    // Whoever was switched is looked at again at once: most drivers return when it is done.
    while (tasks.length > 0) tasks = await advanceTasks(parts, transition, tasks);
  }
  await transitions.finish(id);
}

interface Turn {
  readonly task: TransitionTask;
  readonly node: Node;
  readonly move: Move;
}

/** One move of each task; returns those that were switched and are not over. */
async function advanceTasks(
  parts: TransitionParts,
  transition: Transition,
  tasks: readonly TransitionTask[],
): Promise<TransitionTask[]> {
  const { turns, over } = await decideAll(parts, transition, tasks);
  const { held, refused } = await holdReservations(
    parts.inventory.locks,
    turns.map(({ task }) => task),
  );
  over.push(...refused.map(({ task, reason }) => refusedTask(task, reason)));
  const turnOf = new Map(turns.map((turn) => [turn.task.xname, turn]));
  const acting: { task: TransitionTask; node: Node; action: PowerAction }[] = [];
  const waiting: TransitionTask[] = [];
  for (const task of held) {
    const turn = turnOf.get(task.xname);
    if (turn?.move.kind === "act") {
      acting.push({ task: intended(task, turn.move.action), node: turn.node, action: turn.move.action });
    } else if (task !== turn?.task) waiting.push(task);
  }
  // The intents first: after a crash in between, the power is looked at before anything is asked for again.
  await parts.transitions.write(transition.id, [...waiting, ...acting.map(({ task }) => task)]);
  const acted = await Promise.all(acting.map((one) => act(parts, transition, one)));
  await parts.transitions.write(
    transition.id,
    acted.filter((task) => !isOver(task)),
  );
  await settle(parts, transition, [...over, ...acted.filter(isOver)]);
  return acted.filter((task) => !isOver(task));
}

async function decideAll(
  parts: TransitionParts,
  transition: Transition,
  tasks: readonly TransitionTask[],
): Promise<{ turns: Turn[]; over: TransitionTask[] }> {
  const nodes = await parts.nodes.list({ xnames: tasks.map(({ xname }) => xname) });
  const nodeOf = new Map(nodes.map((node) => [node.xname, node]));
  const turns: Turn[] = [];
  const over: TransitionTask[] = [];
  const decideOne = async (task: TransitionTask) => {
    const node = nodeOf.get(task.xname);
    if (node === undefined) return void over.push(notANode(task));
    const move = nextMove(transition, task, await look(parts.power, node));
    if (move.kind === "succeed") over.push({ ...task, status: "succeeded", description: move.description });
    else if (move.kind === "fail") over.push(failedTask(task, move.description, move.error));
    else turns.push({ task, node, move });
  };
  await Promise.all(tasks.map(decideOne));
  return { turns, over };
}

async function look(power: PowerDriver, node: Node): Promise<Seen> {
  try {
    return { power: await power.status(node), problem: undefined, now: clock.now() };
  } catch (error) {
    return { power: undefined, problem: textOf(error), now: clock.now() };
  }
}

async function act(
  { power, inventory, transitions }: TransitionParts,
  { id, operation, deadlineMinutes }: Transition,
  { task: intent, node, action }: { task: TransitionTask; node: Node; action: PowerAction },
): Promise<TransitionTask> {
  const word = actionWords[action];
  let task = intent;
  let isAborted = false;
  // Its turn may come long after abort and reservation were looked at.
  const ready = async () => {
    isAborted = await transitions.isAborting(id);
    if (isAborted) throw new NetkilnError("refused", aborted);
    const { held, refused } = await holdReservations(inventory.locks, [task]);
    const reason = refused[0]?.reason;
    if (reason !== undefined) throw new NetkilnError("refused", `Reservation expired: it ${reasons[reason]}`);
    task = held[0] ?? task;
  };
  try {
    if (action === "on") await power.on(node, ready);
    else await power.off(node, action === "soft-off" ? "graceful" : "forced", ready);
  } catch (error) {
    if (isAborted) return abortedTask(task);
    if (!(error instanceof NetkilnError)) log.error({ error, node: node.xname, action }, "switching power failed");
    return failedTask(task, `Failed to apply transition, ${word}`, textOf(error));
  }
  const isLast = action === "on" || !comesBack(operation);
  if (deadlineMinutes === 0 && isLast) {
    return {
      ...task,
      status: "succeeded",
      description: `Transition applied, ${word}. Not confirming.`,
      answered: true,
    };
  }
  return { ...task, description: `Confirming successful transition, ${word}`, answered: true };
}

/** Tasks that are over: their records, then the nodes' states and the reservations. */
async function settle(parts: TransitionParts, transition: Transition, over: readonly TransitionTask[]): Promise<void> {
  if (over.length === 0) return;
  await parts.transitions.write(transition.id, over);
  const succeeded = over.filter(({ status }) => status === "succeeded");
  const namesOf = (tasks: readonly TransitionTask[]) => tasks.map(({ xname }) => xname);
  await parts.nodes.setStates(namesOf(succeeded.filter(({ action }) => action === "on")), "On");
  // Without waiting nobody knows when a node that was asked to shut down is off.
  const off = succeeded.filter(({ action }) =>
    transition.deadlineMinutes === 0 ? action === "force-off" : action === "soft-off" || action === "force-off",
  );
  await parts.nodes.setStates(namesOf(off), "Off");
  await releaseReservations(parts.inventory.locks, over);
}

async function abort(parts: TransitionParts, transition: Transition): Promise<void> {
  const left = (await parts.transitions.tasks(transition.id)).filter((task) => !isOver(task));
  await settle(parts, transition, left.map(abortedTask));
  await parts.transitions.finish(transition.id);
}

function intended(task: TransitionTask, action: PowerAction): TransitionTask {
  return {
    ...task,
    status: "in-progress",
    description: `Applying transition, ${actionWords[action]}`,
    action,
    actionTime: clock.now().toISOString(),
    answered: false,
  };
}

function notANode(task: TransitionTask): TransitionTask {
  const type = typeOfXname(task.xname) ?? "unknown";
  if (type === "Node") return failedTask(task, failed, "Missing xname");
  const error = `No power control for component type ${type}`;
  return { ...task, status: "unsupported", description: failed, error };
}

function refusedTask(task: TransitionTask, reason: LockFailure): TransitionTask {
  const why = `it ${reasons[reason]}`;
  if (task.action !== undefined) return failedTask(task, failed, `Reservation expired: ${why}`);
  const key = task.deputyKey === undefined ? "Unable" : "Invalid deputy key and unable";
  return failedTask(task, failed, `${key} to reserve component: ${why}`);
}

const aborted = "Transition aborted";

function abortedTask(task: TransitionTask): TransitionTask {
  return failedTask(task, `Aborted. Last status - ${task.description}`, aborted);
}

function failedTask(task: TransitionTask, description: string, error: string): TransitionTask {
  return { ...task, status: "failed", description, error };
}

function textOf(error: unknown): string {
  if (!(error instanceof NetkilnError)) return "an unexpected error happened; the server's log has more";
  return [error.message, ...error.output.slice(-1)].join(": ");
}

const periodMs = 1000;

/** Carries all transitions on, every second and whenever woken, until the signal; `stopped` resolves after the last move. */
export function startTransitions(
  parts: TransitionParts,
  { signal }: { signal: AbortSignal },
): { wake(): void; stopped: Promise<void> } {
  let bell = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  const startAll = async () => {
    for (const id of await parts.transitions.unfinished()) {
      if (underWay.has(id)) continue;
      const work = advanceTransition(parts, id, signal)
        .catch((error: unknown) => log.error({ error, transition: id }, "a transition cannot go on"))
        .finally(() => underWay.delete(id));
      underWay.set(id, work);
    }
    await parts.transitions.removeExpired();
  };
  const loop = async () => {
    while (!signal.aborted) {
      bell = new AbortController();
      await startAll().catch((error: unknown) => log.error({ error }, "looking for transitions failed"));
      await clock.sleep(periodMs, AbortSignal.any([signal, bell.signal])).catch(() => undefined);
    }
    await Promise.all(underWay.values());
  };
  return { wake: () => bell.abort(), stopped: loop() };
}
