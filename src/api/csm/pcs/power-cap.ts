import { NetkilnError } from "../../../lib/errors.ts";
import type { CapRequest, CapTask, PowerCapStore } from "../../../power/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { capPatchSchema, capSnapshotSchema } from "./schema.ts";
import { printCounts } from "./transitions.ts";

export interface CapParts {
  readonly powerCaps: PowerCapStore;
}

const path = "/power-cap";

export function capOperations({ powerCaps }: CapParts): Operation[] {
  const start = async (request: CapRequest) => answer(200, { taskID: (await powerCaps.create(request)).id });
  return [
    operation({
      id: `POST ${path}/snapshot`,
      method: "POST",
      path: `${path}/snapshot`,
      body: capSnapshotSchema,
      run: async ({ body }) => start({ type: "snapshot", xnames: body.xnames ?? [] }),
    }),
    operation({
      id: `PATCH ${path}`,
      method: "PATCH",
      path,
      body: capPatchSchema,
      run: async ({ body }) => start({ type: "patch", xnames: (body.components ?? []).map(({ xname }) => xname) }),
    }),
    operation({
      id: `GET ${path}`,
      method: "GET",
      path,
      run: async () => answer(200, { tasks: (await powerCaps.list()).map(printTask) }),
    }),
    operation({
      id: `GET ${path}/{taskID}`,
      method: "GET",
      path: `${path}/{taskID}`,
      run: async ({ params }) => {
        const task = await powerCaps.get((params["taskID"] ?? "").toLowerCase());
        if (task === undefined) throw new NetkilnError("not_found", "TaskID does not exist");
        const components = task.components.map(({ xname, error }) => ({ xname, error }));
        return answer(200, { ...printTask(task), components });
      },
    }),
  ];
}

function printTask({ id, type, created, expires, components }: CapTask) {
  const counts = { new: 0, "in-progress": 0, failed: 0, succeeded: 0, unsupported: 0 };
  for (const { status } of components) counts[status] += 1;
  return {
    taskID: id,
    type,
    taskCreateTime: created,
    automaticExpirationTime: expires,
    taskStatus: "completed",
    taskCounts: printCounts(counts),
  };
}
