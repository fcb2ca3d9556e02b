/** The schema of bootprep files as JSON Schema (draft 2020-12), for editors and for people. */
import { z } from "zod";
import { currentSchemaVersion } from "./schema-version.ts";
import { bootprepSchema } from "./schema.ts";
import { structureOf, type MappingRules, type Structure } from "./shape.ts";

export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly deprecated?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly dependentRequired?: Readonly<Record<string, readonly string[]>>;
  readonly minProperties?: number;
  readonly minLength?: number;
  readonly items?: JsonSchema;
  readonly enum?: readonly string[];
  readonly oneOf?: readonly JsonSchema[];
}

/** With `version`, as the file of sat has it. */
export function bootprepJsonSchema(): JsonSchema & { readonly $schema: string; readonly version: string } {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    version: currentSchemaVersion,
    title: "Bootprep file",
    ...jsonSchemaOf(bootprepSchema),
  } as JsonSchema & { readonly $schema: string; readonly version: string };
}

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const structure = structureOf(schema);
  if (structure !== undefined) return { ...structured(structure), ...aboutOf(schema) };
  if (schema instanceof z.ZodOptional) return jsonSchemaOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodArray) {
    return { type: "array", items: jsonSchemaOf(schema.element as z.ZodType), ...aboutOf(schema) };
  }
  const { $schema: _, ...plain } = z.toJSONSchema(schema);
  return plain as JsonSchema;
}

function structured(structure: Structure): JsonSchema {
  switch (structure.kind) {
    case "mapping":
      return mappingSchema(structure.shape, structure.rules);
    case "choice":
      return { oneOf: structure.forms.map(jsonSchemaOf) };
    case "table":
      return { type: "object", minProperties: 1, additionalProperties: jsonSchemaOf(structure.item) };
  }
}

function mappingSchema(shape: z.ZodRawShape, rules: MappingRules): JsonSchema {
  const entries = Object.entries(shape) as [string, z.ZodType][];
  const required = entries.filter(([, schema]) => !(schema instanceof z.ZodOptional)).map(([key]) => key);
  const needs = (rules.needs ?? []).map(([key, companion]) => [key, [companion]] as const);
  return {
    ...(rules.about !== undefined && { description: rules.about }),
    ...(rules.deprecated === true && { deprecated: true }),
    type: "object",
    ...(required.length > 0 && { required }),
    ...(needs.length > 0 && { dependentRequired: Object.fromEntries(needs) }),
    ...(rules.notEmpty === true && { minProperties: 1 }),
    ...(rules.open !== true && { additionalProperties: false }),
    properties: Object.fromEntries(entries.map(([key, schema]) => [key, jsonSchemaOf(schema)])),
  };
}

function aboutOf(schema: z.ZodType): JsonSchema {
  return schema.description === undefined ? {} : { description: schema.description };
}
