import { scriptPaths, type AccessLog, type BootScripts, type ScriptPath } from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { scriptAskOf, scriptQuerySchema } from "../../node-door/schema.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { historyQuerySchema } from "./schema.ts";

export interface ScriptParts {
  readonly scripts: BootScripts;
  readonly accesses: AccessLog;
  /** `host:port` of the node door, for scripts that are looked at and not booted. */
  readonly door: () => string;
}

export function scriptOperations({ scripts, accesses, door }: ScriptParts, path: ScriptPath): Operation[] {
  return [
    operation({
      id: "bootscript_get",
      method: "GET",
      path: scriptPaths[0],
      query: scriptQuerySchema,
      run: async ({ query }) => {
        const ask = scriptAskOf(query, path);
        const found = await scripts.find(ask);
        if (found.kind === "none") throw new NetkilnError("not_found", found.because);
        if (found.xname !== undefined) accesses.note(found.xname, "bootscript");
        if (query.json) return answer(200, await scripts.json(ask, door()));
        return { status: 200, body: found.print({ door: door(), retry: query.retry }), type: "text/plain" };
      },
    }),
    operation({
      id: "GET /boot/v1/endpoint-history",
      method: "GET",
      path: "/boot/v1/endpoint-history",
      query: historyQuerySchema,
      run: async ({ query: { name, endpoint } }) => {
        if (name !== undefined && endpoint !== undefined) {
          const [last] = await accesses.list({ name, endpoint }, { limit: 1 });
          return answer(200, [{ name, endpoint, last_epoch: last?.lastEpoch ?? 0 }]);
        }
        return streamList(
          ({ after, limit }) => accesses.list({ name, endpoint }, { after: after && JSON.parse(after), limit }),
          (access) => JSON.stringify(access),
          ({ lastEpoch, ...access }) => ({ ...access, last_epoch: lastEpoch }),
        );
      },
    }),
  ];
}
