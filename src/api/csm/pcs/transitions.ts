import { NetkilnError } from "../../../lib/errors.ts";
import type { TaskCounts, Transition, TransitionStore, TransitionTask } from "../../../power/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { transitionSchema } from "./schema.ts";

export interface TransitionsParts {
  readonly transitions: TransitionStore;
  /** Tells whoever carries transitions out that there is something to do. */
  readonly wakeTransitions: () => void;
}

const path = "/transitions";
const defaultDeadlineMinutes = 5;

export function transitionOperations({ transitions, wakeTransitions }: TransitionsParts): Operation[] {
  return [
    operation({
      id: `POST ${path}`,
      method: "POST",
      path,
      body: transitionSchema,
      run: async ({ body }) => {
        const { id, operation } = await transitions.create({
          operation: body.operation,
          deadlineMinutes: body.taskDeadlineMinutes ?? defaultDeadlineMinutes,
          components: body.location ?? [],
        });
        wakeTransitions();
        return answer(200, { transitionID: id, operation }, { location: `../transitions/${id}` });
      },
    }),
    operation({
      id: `GET ${path}`,
      method: "GET",
      path,
      run: async () => answer(200, { transitions: (await transitions.list()).map(printTransition) }),
    }),
    operation({
      id: `GET ${path}/{transitionID}`,
      method: "GET",
      path: `${path}/{transitionID}`,
      run: async ({ params }) => {
        const id = idOf(params);
        const transition = await transitions.get(id);
        if (transition === undefined) throw missing();
        const tasks = (await transitions.tasks(id)).map(printTask);
        return answer(200, { ...printTransition(transition), tasks });
      },
    }),
    operation({
      id: `DELETE ${path}/{transitionID}`,
      method: "DELETE",
      path: `${path}/{transitionID}`,
      run: async ({ params }) => {
        const transition = await transitions.signalAbort(idOf(params));
        if (transition === undefined) throw missing();
        if (transition.status === "completed") {
          throw new NetkilnError("invalid_input", "Transition is already finished and cannot be aborted.");
        }
        wakeTransitions();
        return answer(202, { abortStatus: "Accepted - abort initiated" });
      },
    }),
  ];
}

/** In the form in which it is stored. */
function idOf(params: Readonly<Record<string, string>>): string {
  const id = params["transitionID"] ?? "";
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) return id.toLowerCase();
  throw new NetkilnError("invalid_input", `invalid transition ID '${id}': it must be a UUID`);
}

function missing(): NetkilnError {
  return new NetkilnError("not_found", "TransitionID does not exist");
}

function printTransition(one: Transition) {
  return {
    transitionID: one.id,
    operation: one.operation,
    createTime: one.created,
    automaticExpirationTime: one.expires,
    transitionStatus: one.status,
    taskCounts: printCounts(one.counts),
  };
}

export function printCounts({ unsupported, ...counts }: TaskCounts) {
  const total = Object.values(counts).reduce((sum, count) => sum + count, unsupported);
  return { total, ...counts, "un-supported": unsupported };
}

function printTask({ xname, status, description, error }: TransitionTask) {
  return { xname, taskStatus: status, taskStatusDescription: description, error };
}
