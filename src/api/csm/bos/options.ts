import type { BootOptions, BootOptionStore } from "../../../orchestration/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { optionsSchema } from "./schema.ts";

export function optionOperations(options: BootOptionStore): Operation[] {
  return [
    operation({
      id: "get_v2_options",
      method: "GET",
      path: "/v2/options",
      run: async () => answer(200, await options.get()),
    }),
    operation({
      id: "patch_v2_options",
      method: "PATCH",
      path: "/v2/options",
      body: optionsSchema,
      run: async ({ body }) => answer(200, await options.set(body as Partial<BootOptions>)),
    }),
  ];
}
