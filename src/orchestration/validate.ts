import { NetkilnError } from "../lib/errors.ts";
import { targetOf, type FindImage } from "./plan.ts";
import type { BootSet, Operation, SessionTemplate } from "./types.ts";

export interface TemplateVerdict {
  /** Each with the template and boot set that it is about. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export interface ValidationRules {
  readonly rejectNids: boolean;
  readonly findImage: FindImage;
}

const specifiers = ["node_list", "node_roles_groups", "node_groups"] as const;

/** Whether a session could be made of a template, in BOS's words where it has some. */
export async function validateTemplate(
  template: SessionTemplate,
  operation: Operation,
  { rejectNids, findImage }: ValidationRules,
): Promise<TemplateVerdict> {
  const errors: string[] = [];
  const warnings: string[] = [];
  for (const [name, set] of Object.entries(template.boot_sets)) {
    const about = (message: string) => `Session template: '${template.name}' boot set: '${name}': ${message}`;
    if (namesNobody(set)) errors.push(about(`No non-empty hardware specifier fields (${specifiers.join(", ")})`));
    if (hasNid(set)) (rejectNids ? errors : warnings).push(about("Has NID in 'node_list'"));
    if (operation === "shutdown") continue;
    const problem = await bootProblem(name, set, template, findImage);
    if (problem !== undefined) errors.push(about(problem));
  }
  return { errors, warnings };
}

async function bootProblem(
  name: string,
  set: BootSet,
  template: SessionTemplate,
  findImage: FindImage,
): Promise<string | undefined> {
  try {
    await targetOf(name, set, template, findImage);
    return undefined;
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    const said = error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
    return error.code === "not_found" ? `Can't find boot artifacts. Error: ${said}` : said;
  }
}

/** What may not even be kept: throws `invalid_input` with every mistake. */
export function requireKeepable(template: SessionTemplate, { rejectNids }: { rejectNids: boolean }): void {
  const problems = Object.entries(template.boot_sets).flatMap(([name, set]) => [
    ...(namesNobody(set)
      ? [`Boot set ${name}: No non-empty hardware specifier fields (${specifiers.join(", ")})`]
      : []),
    ...(rejectNids && hasNid(set) ? [`Boot set ${name}: Has NID in 'node_list'`] : []),
  ]);
  if (problems.length === 0) return;
  throw new NetkilnError("invalid_input", `The session template cannot be kept: ${problems.join("; ")}`);
}

function namesNobody(set: BootSet): boolean {
  return specifiers.every((field) => (set[field] ?? []).length === 0);
}

function hasNid({ node_list = [] }: BootSet): boolean {
  return node_list.some(looksLikeNid);
}

export function looksLikeNid(name: string): boolean {
  return name.startsWith("nid");
}
