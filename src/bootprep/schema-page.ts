/** The schema of bootprep files as one page of HTML, for people. */
import { bootprepJsonSchema, type JsonSchema } from "./json-schema.ts";

const style = `
body { font: 15px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
dl { margin: 0 0 0 1.2em; padding-left: 1em; border-left: 1px solid #ccc; }
dt { margin-top: .6em; } dd { margin: 0; }
code { font-size: 14px; font-weight: 600; } .kind { color: #666; } .old { text-decoration: line-through; }
`;

export function bootprepSchemaPage(): string {
  const schema = bootprepJsonSchema();
  const title = `Bootprep files, schema ${schema.version}`;
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title><style>${style}</style></head>
<body>
<h1>${title}</h1>
<p>${escaped(schema.description ?? "")}</p>
${fields(schema)}
</body>
</html>
`;
}

function fields({ properties = {}, required = [] }: JsonSchema): string {
  const items = Object.entries(properties).map(([name, schema]) => field(name, schema, required.includes(name)));
  return `<dl>\n${items.join("")}</dl>\n`;
}

function field(name: string, schema: JsonSchema, needed: boolean): string {
  const words = [
    kindOf(schema),
    ...(needed ? ["required"] : []),
    ...(schema.deprecated === true ? ["deprecated"] : []),
  ];
  const label = `<code${schema.deprecated === true ? ' class="old"' : ""}>${escaped(name)}</code>`;
  return `<dt>${label} <span class="kind">${words.join(", ")}</span></dt>\n<dd>${body(schema)}</dd>\n`;
}

function body(schema: JsonSchema): string {
  const { description, oneOf = [], items, additionalProperties } = schema;
  const inner = items ?? (typeof additionalProperties === "object" ? additionalProperties : undefined);
  return [
    description === undefined ? "" : `<p>${escaped(description)}</p>\n`,
    ...oneOf.map((form) => `<p class="kind">${formOf(form)}</p>\n${body(form)}`),
    schema.properties === undefined ? "" : fields(schema),
    inner === undefined || (inner.properties === undefined && inner.oneOf === undefined) ? "" : body(inner),
  ].join("");
}

function formOf(form: JsonSchema): string {
  return `One of: ${kindOf(form)}${form.deprecated === true ? ", deprecated" : ""}`;
}

function kindOf({ type, enum: words, items, oneOf, additionalProperties }: JsonSchema): string {
  if (words !== undefined) return words.map(escaped).join(" | ");
  if (oneOf !== undefined) return "one of several forms";
  if (type === "array") return `list of ${items?.type === "string" ? "texts" : "mappings"}`;
  if (type === "string") return "text";
  if (type === "boolean") return "true | false";
  return typeof additionalProperties === "object" ? "mapping of names" : "mapping";
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
