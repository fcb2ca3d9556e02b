import { z } from "zod";
import type { Operation } from "../../service.ts";

/** The service's operations as an OpenAPI document (3.1), made from the table that serves them. */
export function openApiOf(title: string, version: string, base: string, operations: readonly Operation[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const one of operations) (paths[one.path] ??= {})[one.method.toLowerCase()] = describe(one);
  return { openapi: "3.1.1", info: { title, version }, servers: [{ url: base }], paths };
}

function describe({ id, path, body, open }: Operation): object {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const schema = body && z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
  return {
    operationId: id,
    parameters: names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
    ...(schema !== undefined && { requestBody: { content: { "application/json": { schema } } } }),
    responses: { default: { description: "What came of it; a failure is a problem of RFC 9457." } },
    ...(open !== true && { security: [{ bearer: [] }] }),
  };
}
