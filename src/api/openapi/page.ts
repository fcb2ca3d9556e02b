/** Pages that show the document of the API: plain HTML, to be read in a terminal as well. */
import type { JsonSchema, OpenApiDocument, OpenApiOperation } from "./document.ts";

export const style = `
body { font: 16px/1.5 sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a; background: #fff }
h2 { border-top: 1px solid #ccc; font-size: 1.1rem; margin: 2rem 0 0; padding-top: 1rem }
code, pre { font: 14px/1.4 monospace; overflow-wrap: anywhere }
pre { background: #f4f4f4; overflow-x: auto; padding: .5rem }
table { border-collapse: collapse; margin: .5rem 0 }
td, th { border-bottom: 1px solid #ddd; padding: .2rem 1rem .2rem 0; text-align: left; vertical-align: top }
`;

export function indexPage({ info, tags, paths }: OpenApiDocument): string {
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const rows = tags.map(({ name, description }) => {
    const count = operations.filter((one) => one.tags.includes(name) && one["x-alias"] !== true).length;
    return `<tr><td><a href="/docs/${encodeURIComponent(name)}">${escape(name)}</a></td><td>${escape(description)}</td><td>${count}</td></tr>`;
  });
  return page(
    `${info.title} ${info.version}`,
    `<p>${escape(info.description)} The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
<table><tr><th>service</th><th>what</th><th>operations</th></tr>
${rows.join("\n")}
</table>`,
  );
}

/** Undefined for a service that there is not. */
export function sectionPage(document: OpenApiDocument, name: string): string | undefined {
  const tag = document.tags.find((one) => one.name === name);
  if (tag === undefined) return undefined;
  const parts: string[] = [];
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      if (one.tags.includes(name) && one["x-alias"] !== true) parts.push(operationPart(document, method, path, one));
    }
  }
  return page(tag.name, `<p>${escape(tag.description)}. <a href="/docs">All services</a></p>\n${parts.join("\n")}`);
}

function operationPart(document: OpenApiDocument, method: string, path: string, one: OpenApiOperation): string {
  const { operationId, summary, description, parameters, requestBody } = one;
  const parameterRows = parameters.map(({ name, in: place, required, schema }) =>
    row([code(name), place, typeText(schema), required ? "required" : ""]),
  );
  const bodies = Object.entries(requestBody?.content ?? {}).map(([type]) => {
    const schema = document.components.schemas[operationId] ?? {};
    return `<p>Body: ${escape(type)}</p>
${membersTable(schema)}
<details><summary>JSON Schema</summary><pre>${escape(JSON.stringify(schema, null, 1))}</pre></details>`;
  });
  return `<h2 id="${escape(operationId)}">${escape(method.toUpperCase())} ${code(path)}</h2>
<p>${summary === undefined ? "" : `${escape(summary)}. `}${escape(description)} <small>${code(operationId)}</small></p>
${parameterRows.length === 0 ? "" : table(["parameter", "in", "type", ""], parameterRows)}
${bodies.join("\n")}`;
}

function membersTable(schema: JsonSchema): string {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, JsonSchema>; required?: string[] };
  const rows = Object.entries(properties).map(([name, member]) =>
    row([code(name), typeText(member), required.includes(name) ? "required" : ""]),
  );
  return rows.length === 0 ? `<p>${typeText(schema)}</p>` : table(["member", "type", ""], rows);
}

/** In a few words, escaped. */
function typeText(schema: JsonSchema): string {
  const {
    type,
    enum: values,
    const: value,
    anyOf,
    items,
    description,
  } = schema as {
    type?: string | readonly string[];
    enum?: readonly unknown[];
    const?: unknown;
    anyOf?: readonly JsonSchema[];
    items?: JsonSchema;
    description?: string;
  };
  const text =
    values !== undefined
      ? values.map((one) => code(JSON.stringify(one))).join(" | ")
      : value !== undefined
        ? code(JSON.stringify(value))
        : anyOf !== undefined
          ? [...new Set(anyOf.map(typeText))].join(" or ")
          : type === "array"
            ? `list of ${items === undefined ? "anything" : typeText(items)}`
            : escape([type ?? "anything"].flat().join(" or "));
  return description === undefined ? text : `${text}: ${escape(description)}`;
}

function table(header: readonly string[], rows: readonly string[]): string {
  return `<table><tr>${header.map((title) => `<th>${title}</th>`).join("")}</tr>\n${rows.join("\n")}\n</table>`;
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function code(text: string): string {
  return `<code>${escape(text)}</code>`;
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title><style>${style}</style></head>
<body>
<h1>${escape(title)}</h1>
${body}
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? "");
}
