/** What the three parts of a plan share: the file, what may be asked, and the mistakes found so far. */
import { NetkilnError, type Problem } from "../lib/errors.ts";
import type { BootprepFile, ExistsPolicy, LateText, Place, Section } from "./file.ts";
import { isWaiting } from "./file.ts";
import type { PlanOptions, PlanPorts } from "./ports.ts";
import { renderValue, type Variables } from "./variables.ts";

export class Planning {
  readonly file: BootprepFile;
  readonly ports: PlanPorts;
  readonly options: PlanOptions;
  readonly problems: Problem[] = [];

  constructor(file: BootprepFile, ports: PlanPorts, options: PlanOptions) {
    this.file = file;
    this.ports = askedOnce(ports);
    this.options = options;
  }

  includes(section: Section): boolean {
    return this.options.limit === undefined || this.options.limit.includes(section);
  }

  /** The command line wins over the file; without either, things are made as the file says. */
  policy(
    kind: "configurations" | "images" | "templates",
    ifExists: ExistsPolicy | undefined,
  ): ExistsPolicy | undefined {
    return this.options.existing?.[kind] ?? ifExists;
  }

  report(place: Place, message: string, hint?: string): undefined {
    const { line, column } = place;
    this.problems.push({
      file: this.file.file,
      line,
      column,
      message,
      ...(hint !== undefined && { hint }),
    });
  }

  /** `abort`, said the same way for everything that has a name. */
  reportExisting(place: Place, noun: string, name: string): undefined {
    return this.report(
      place,
      `${noun} "${name}" exists already, and if_exists is abort`,
      "choose another name, or if_exists: skip or overwrite",
    );
  }

  /** Asks a port; what is not found or not valid there is a mistake of the file at `place`. */
  async ask<T>(subject: string, place: (message: string) => Place, question: () => Promise<T>): Promise<T | undefined> {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof NetkilnError) || (error.code !== "not_found" && error.code !== "invalid_input"))
        throw error;
      return this.report(place(error.message), `${subject}: ${error.message}`, error.hint);
    }
  }

  /** The text, rendered now if it waited for `context`; nothing when it cannot be rendered. */
  settle(text: LateText, context: Variables | undefined, subject: string): string | undefined {
    if (!isWaiting(text)) return text.text;
    return context === undefined ? undefined : this.render(text, text.template, context, subject);
  }

  render(place: Place, template: string, context: Variables, subject: string): string | undefined {
    const result = renderValue(template, { ...this.file.variables, ...context });
    return "text" in result ? result.text : this.report(place, `${subject}: ${result.message}`, result.hint);
  }

  /** Makes sure that a configuration will be there when it is used. */
  async checkConfiguration(place: Place, name: string, subject: string): Promise<void> {
    const inFile = this.file.configurations.some((configuration) => configuration.name.text === name);
    if (inFile && this.includes("configurations")) return;
    if ((await this.ports.findConfiguration(name)) !== undefined) return;
    const hint = inFile
      ? "it is in this file, but --limit leaves configurations out"
      : "add it under configurations, or create it first";
    this.report(place, `${subject}: configuration "${name}" does not exist`, hint);
  }
}

/** Many layers name the same repository, and many images the same configuration: each question is asked once. */
function askedOnce(ports: PlanPorts): PlanPorts {
  const answers = new Map<string, Promise<unknown>>();
  const once = <A extends readonly unknown[], R>(name: string, ask: (...input: A) => Promise<R>) => {
    return (...input: A): Promise<R> => {
      const key = JSON.stringify([name, ...input]);
      const answer = (answers.get(key) as Promise<R> | undefined) ?? ask(...input);
      answers.set(key, answer);
      return answer;
    };
  };
  return {
    findRecipes: once("recipes", (query) => ports.findRecipes(query)),
    findImages: once("images", (query) => ports.findImages(query)),
    findConfiguration: once("configuration", (name) => ports.findConfiguration(name)),
    findTemplate: once("template", (name) => ports.findTemplate(name)),
    products: once("products", () => ports.products()),
    findSource: once("source", (name) => ports.findSource(name)),
    defaultPlaybook: once("playbook", () => ports.defaultPlaybook()),
    resolveCommit: once("commit", (url, reference) => ports.resolveCommit(url, reference)),
    requirePlaybook: once("required playbook", (url, commit, playbook) => ports.requirePlaybook(url, commit, playbook)),
  };
}
