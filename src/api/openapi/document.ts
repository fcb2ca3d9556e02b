import { z } from "zod";
import { isOpenRead, leastRole } from "../../access/index.ts";
import type { RouteNotes } from "../route-notes.ts";

/** A route as the server has it. */
export interface ServedRoute {
  readonly method: string;
  /** With `:name` and `*` where something stands for a part. */
  readonly url: string;
  readonly notes: RouteNotes;
}

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly bases: readonly string[];
}

/** Who is let in at the door that the document is of. */
export interface DoorRules {
  /** Without it, whoever reaches the door is the local administrator. */
  readonly requireToken: boolean;
  /** Whether what OpenCHAMI's clients read without a token is given without one. */
  readonly openReads: boolean;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface OpenApiParameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: JsonSchema;
}

export interface OpenApiOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary?: string;
  readonly description: string;
  readonly parameters: readonly OpenApiParameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security: readonly object[];
  /** The same operation is served below another base first. */
  readonly "x-alias"?: true;
}

/** OpenAPI 3.1.1 (https://spec.openapis.org/oas/v3.1.1.html), as much of it as is used here. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
}

/** What a document is about: what is served below `base`, or everything. */
export interface OpenApiSubject extends Pick<OpenApiDocument["info"], "title" | "version" | "description"> {
  readonly base?: string;
}

/** What is served, generated from the tables of operations and the schemas that check the requests. */
export function openApiDocument(
  routes: readonly ServedRoute[],
  { sections, door }: { readonly sections: readonly Section[]; readonly door: DoorRules },
  { base = "", ...info }: OpenApiSubject,
): OpenApiDocument {
  const paths: Record<string, Record<string, OpenApiOperation>> = {};
  const schemas: Record<string, JsonSchema> = { problem };
  const ids = new Set<string>();
  const templates = new Map<string, string>();
  for (const route of routes) {
    const path = templateOf(route.url.slice(base.length), templates);
    const operationId = uniqueId(route, path, ids);
    (paths[path] ??= {})[route.method.toLowerCase()] = operationOf(route, { path, operationId, schemas, door });
  }
  const used = new Set(routes.map(({ notes }) => sectionOf(notes)));
  return {
    openapi: "3.1.1",
    info,
    servers: [{ url: baseText(base) }],
    tags: sections
      .filter(({ name }) => used.has(name))
      .map(({ name, title, bases }) => ({ name, description: `${title}; below ${bases.map(baseText).join(" and ")}` })),
    paths,
    components: { schemas, securitySchemes },
  };
}

const securitySchemes = {
  bearer: { type: "http", scheme: "bearer", description: "A token of ours, or of an account that has logged in." },
  git: { type: "http", scheme: "basic", description: "The login that is made for git, or a token as the password." },
};

const problem: JsonSchema = {
  description: "A failure, as RFC 9457 has it; services of CSM add members of their own.",
  type: "object",
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
  },
};

function sectionOf({ service = "netkiln" }: RouteNotes): string {
  return service;
}

function baseText(base: string): string {
  return base === "" ? "/" : base;
}

/** Paths that differ in the names of their parameters alone are one path; the first one's names are taken. */
function templateOf(url: string, known: Map<string, string>): string {
  const template = url.replaceAll(/:(\w+)/g, "{$1}").replace(/\*$/, "{rest}");
  const shape = template.replaceAll(/\{\w+\}/g, "{}");
  const first = known.get(shape) ?? template;
  known.set(shape, first);
  return first;
}

function uniqueId({ method, notes }: ServedRoute, path: string, taken: Set<string>): string {
  const own = notes.id ?? `${method} ${path}`;
  const words = `${sectionOf(notes)}.${own.replaceAll(/\W+/g, "_").replaceAll(/^_|_$/g, "")}`;
  let id = words;
  for (let count = 2; taken.has(id); count += 1) id = `${words}.${count}`;
  taken.add(id);
  return id;
}

function operationOf(
  { method, url, notes }: ServedRoute,
  {
    path,
    operationId,
    schemas,
    door,
  }: { path: string; operationId: string; schemas: Record<string, JsonSchema>; door: DoorRules },
): OpenApiOperation {
  const query = notes.query === undefined ? undefined : schemaOf(notes.query, `${operationId}.query`, schemas);
  const body = notes.body === undefined ? undefined : schemaOf(notes.body, operationId, schemas);
  if (body !== undefined) schemas[operationId] = body;
  return {
    operationId,
    tags: [sectionOf(notes)],
    ...(notes.summary !== undefined && { summary: notes.summary }),
    ...admissionOf({ method, url, notes }, door),
    parameters: [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => parameter("path", name, { type: "string" }, true)),
      ...(query === undefined ? [] : parametersOf(query)),
      ...(notes.tenants === true ? [parameter("header", "Cray-Tenant-Name", { type: "string" }, false)] : []),
    ],
    ...(body !== undefined && {
      requestBody: {
        content: { [notes.bodyType ?? "application/json"]: { schema: reference(operationId) } },
      },
    }),
    responses: {
      "2XX": { description: "It is done." },
      default: {
        description: "It is not done, and why.",
        content: { "application/problem+json": { schema: reference("problem") } },
      },
    },
    ...(notes.isAlias === true && { "x-alias": true }),
  };
}

/** As `admission.ts` has it, and the routes that see to it themselves. */
function admissionOf(
  { method, url, notes }: ServedRoute,
  { requireToken, openReads }: DoorRules,
): Pick<OpenApiOperation, "description" | "security"> {
  if (notes.open === true) return { description: "Needs no token.", security: [] };
  const description = `Least role: ${leastRole(method, url)}.`;
  if (!requireToken) return { description, security: [] };
  if (notes.login === "git") return { description, security: [{ git: [] }, { bearer: [] }] };
  if (openReads && isOpenRead(method, url)) return { description, security: [{}, { bearer: [] }] };
  return { description, security: [{ bearer: [] }] };
}

function parameter(
  place: OpenApiParameter["in"],
  name: string,
  schema: JsonSchema,
  required: boolean,
): OpenApiParameter {
  return { name, in: place, required, schema };
}

function reference(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

/** What a schema takes, as JSON Schema; parts that it refers to by name are put beside it. */
function schemaOf(schema: z.ZodType, name: string, schemas: Record<string, JsonSchema>): JsonSchema {
  const made = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const text = JSON.stringify(made, (key, value: unknown) =>
    key === "$ref" && typeof value === "string"
      ? value.replace(/^#(?:\/\$defs\/)?/, (start) => reference(start === "#" ? name : `${name}.`)["$ref"] as string)
      : value,
  );
  const { $schema: _, $defs: parts = {}, ...json } = JSON.parse(text) as Record<string, unknown>;
  for (const [part, value] of Object.entries(parts as Record<string, JsonSchema>)) schemas[`${name}.${part}`] = value;
  return json;
}

/** The members of an object, also where it is put together of several. */
function parametersOf(json: JsonSchema): OpenApiParameter[] {
  const {
    properties = {},
    required = [],
    allOf = [],
    anyOf = [],
  } = json as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
    allOf?: JsonSchema[];
    anyOf?: JsonSchema[];
  };
  return [
    ...Object.entries(properties).map(([name, schema]) => parameter("query", name, schema, required.includes(name))),
    ...[...allOf, ...anyOf].flatMap(parametersOf),
  ];
}
