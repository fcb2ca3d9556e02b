import type { z } from "zod";
import { readPowerStatus, type PowerStatus, type StatusParts } from "../../../power/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { statusBodySchema, statusQuerySchema } from "./schema.ts";

const path = "/power-status";

/** As a POST for lists of any length: an URL is short. */
export function statusOperations(parts: StatusParts): Operation[] {
  return [
    operation({
      id: `GET ${path}`,
      method: "GET",
      path,
      query: statusQuerySchema,
      run: async ({ query }) => answer(200, await list(parts, query)),
    }),
    operation({
      id: `POST ${path}`,
      method: "POST",
      path,
      body: statusBodySchema,
      run: async ({ body }) => answer(200, await list(parts, body)),
    }),
  ];
}

async function list(parts: StatusParts, asked: z.output<typeof statusQuerySchema>) {
  const { xname: names = [], powerStateFilter: power, managementStateFilter: management } = asked;
  const found = await readPowerStatus(parts, names.length === 0 ? undefined : [...new Set(names)]);
  // What has no power to be told of is told of whatever the filters say, as PCS does.
  const fits = (one: PowerStatus) =>
    one.time === undefined ||
    ((power === undefined || one.power === power) && (management === undefined || one.management === management));
  return { status: found.filter(fits).map(print) };
}

function print({ xname, power, management, error, supported, time }: PowerStatus) {
  return {
    xname,
    powerState: power,
    managementState: management,
    error: error ?? "",
    supportedPowerTransitions: supported,
    lastUpdated: time?.toISOString(),
  };
}
