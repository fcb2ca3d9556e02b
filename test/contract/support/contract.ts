/** A contract file of a foreign API, and whether what we answer is as it says. */
import { readFileSync } from "node:fs";
import { Ajv, type ValidateFunction } from "ajv";
import { parse } from "yaml";
import type { Method, Service } from "../../../src/api/service.ts";

export interface ContractOperation {
  /** Its operationId; its method and path where it has none. */
  readonly id: string;
  readonly method: Method;
  /** As the file has it. */
  readonly path: string;
  /** What the file documents; `default` stands for all that it does not name. */
  readonly statuses: ReadonlySet<string>;
  /** What is wrong with the body of an answer, if anything; undefined also where the file describes none. */
  problemOf(status: number, body: unknown): string | undefined;
}

export interface Document {
  /** Of Swagger 2.0. */
  readonly definitions?: Readonly<Record<string, Record<string, unknown>>>;
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
}

interface RawOperation {
  readonly operationId?: string;
  readonly responses: Readonly<Record<string, RawResponse>>;
}

interface RawResponse {
  readonly $ref?: string;
  readonly schema?: unknown;
  readonly content?: Readonly<Record<string, { readonly schema?: unknown }>>;
}

const methods: Readonly<Record<string, Method>> = {
  get: "GET",
  post: "POST",
  put: "PUT",
  patch: "PATCH",
  delete: "DELETE",
};

const folder = new URL("../../../../shared/contracts/", import.meta.url);

export function contractFile(name: string): URL {
  return new URL(name, folder);
}

/** The files, which service each is about, and what comes before its paths in the service's own. */
export const contracts = [
  { service: "ims", file: "ims-v3.openapi.yaml", below: "" },
  { service: "cfs", file: "cfs-v2-v3.openapi.yaml", below: "" },
  { service: "bos", file: "bos-v2.openapi.yaml", below: "" },
  { service: "bss", file: "bss-v1.swagger.yaml", below: "" },
  { service: "hsm", file: "smd-v2.swagger.yaml", below: "" },
  { service: "pcs", file: "pcs-v1.openapi.yaml", below: "" },
  { service: "cloud-init", file: "openchami-cloud-init.swagger.yaml", below: "" },
] as const;

/**
 * Reads one of the files in ../shared/contracts (OpenAPI 3.0 or Swagger 2.0).
 * @param amend puts right in the document what the real service and its clients do in another way
 */
export function readContract(name: string, amend?: (document: Document) => void): readonly ContractOperation[] {
  const document = parse(readFileSync(contractFile(name), "utf8")) as Document;
  amend?.(document);
  asJsonSchema(document);
  const ajv = new Ajv({ strict: false, validateFormats: false, validateSchema: false, logger: false, allErrors: true });
  ajv.addSchema(document as object, "contract");
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([word, operation]) => {
      const method = methods[word];
      if (method === undefined) return [];
      const id = operation.operationId ?? `${method} ${path}`;
      const place = `contract#/paths/${escapePointer(path)}/${word}/responses`;
      return [
        {
          id,
          method,
          path,
          statuses: new Set(Object.keys(operation.responses)),
          problemOf: checker(operation, place, document, ajv),
        },
      ];
    }),
  );
}

function checker({ responses }: RawOperation, place: string, document: Document, ajv: Ajv) {
  const known = new Map<string, ValidateFunction>();
  return (status: number, body: unknown): string | undefined => {
    const key = String(status) in responses ? String(status) : "default";
    const reference = schemaOf(responses[key], `${place}/${key}`, document);
    if (reference === undefined) return undefined;
    const validate = known.get(reference) ?? ajv.compile({ $ref: reference });
    known.set(reference, validate);
    return validate(body) ? undefined : ajv.errorsText(validate.errors, { dataVar: "body" });
  };
}

/** Where the schema of a response's body stands, if it has one. */
function schemaOf(response: RawResponse | undefined, place: string, document: Document): string | undefined {
  if (response === undefined) return undefined;
  if (response.$ref !== undefined) {
    return schemaOf(resolve(response.$ref, document), `contract${response.$ref}`, document);
  }
  if (response.schema !== undefined) return `${place}/schema`;
  const type = Object.keys(response.content ?? {}).find((name) => name.includes("json"));
  return type === undefined || response.content?.[type]?.schema === undefined
    ? undefined
    : `${place}/content/${escapePointer(type)}/schema`;
}

function resolve(reference: string, document: Document): RawResponse | undefined {
  const parts = reference.replace("#/", "").split("/");
  return parts.reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], document) as
    | RawResponse
    | undefined;
}

function escapePointer(part: string): string {
  return encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
}

/** What OpenAPI 3.0 and Swagger 2.0 say in another way than JSON Schema, or wrongly, in place. */
function asJsonSchema(value: unknown): void {
  if (value === null || typeof value !== "object") return;
  const schema = value as Record<string, unknown>;
  for (const [exclusive, limit] of [
    ["exclusiveMinimum", "minimum"],
    ["exclusiveMaximum", "maximum"],
  ] as const) {
    if (schema[exclusive] === true) schema[exclusive] = schema[limit];
    else if (schema[exclusive] === false) delete schema[exclusive];
  }
  for (const inner of Object.values(schema)) asJsonSchema(inner);
}

/** The operations of a contract that a service has under one of its bases; `basePath` is what the file puts before its paths. */
export function servedBy(service: Service, contract: readonly ContractOperation[], below = ""): ReadonlySet<string> {
  const shape = (method: string, path: string) => `${method} ${path.replaceAll(/\{\w+\}/g, "{}").replace(/\/$/, "")}`;
  const served = new Set(service.operations.map(({ method, path }) => shape(method, path)));
  return new Set(contract.filter(({ method, path }) => served.has(shape(method, below + path))).map(({ id }) => id));
}
