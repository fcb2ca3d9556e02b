import { clock } from "../lib/clock.ts";
import {
  type Assertion,
  type CommandResource,
  type DeferredResource,
  type ParsedChecks,
  type Resource,
  type TreeResource,
} from "./checks.ts";
import { CannotCompare, match } from "./match.ts";
import { readAccounts } from "./resolve/accounts.ts";
import { runOnce, withRetries, type RunCommand } from "./resolve/command.ts";
import type { Fact } from "./resolve/fact.ts";
import { resolveFile } from "./resolve/file.ts";
import { resolveGroup } from "./resolve/group.ts";
import { readSettings, resolveKernelParam } from "./resolve/kernel-param.ts";
import { readPackages, resolvePackage } from "./resolve/package.ts";
import { resolveService } from "./resolve/service.ts";
import { resolveUser } from "./resolve/user.ts";
import type { TreeReader } from "./tree.ts";
import { isEvaluated, statusOf, summarise, type CheckResult, type Verdict } from "./verdict.ts";

export interface GateInput {
  readonly checks: readonly ParsedChecks[];
  readonly tree: TreeReader;
  readonly runCommand: RunCommand;
  readonly signal?: AbortSignal | undefined;
}

/** Decides whether the tree of an image keeps to its checks. Whatever goes wrong is a result, but for an abort. */
export async function evaluateGate({ checks: parsed, tree, runCommand, signal }: GateInput): Promise<Verdict> {
  const started = clock.now();
  const facts = treeFacts(tree);
  const byFile = new Map<string, CheckResult[]>();
  // Commands come after everything else of all files: what they change must not be taken for the image.
  for (const commands of [false, true]) {
    for (const { file, resources } of parsed) {
      const results = byFile.get(file) ?? [];
      for (const resource of resources.filter(({ kind }) => (kind === "command") === commands)) {
        signal?.throwIfAborted();
        results.push(...(await evaluateResource(file, resource, facts, { runCommand, signal })));
      }
      byFile.set(file, results);
    }
  }
  const files = parsed.map(({ file, sha256 }) => ({
    file,
    sha256,
    evaluated: filesReached(file, parsed)
      .flatMap((reached) => byFile.get(reached) ?? [])
      .filter(isEvaluated).length,
  }));
  const results = files.flatMap(({ file, evaluated }) => {
    const own = byFile.get(file) ?? [];
    return evaluated === 0 ? [...own, nothingEvaluated(file, own)] : own;
  });
  const summary = summarise(results, elapsed(started));
  return { status: statusOf(summary), summary, files, results };
}

type Part = Pick<CheckResult, "status" | "found" | "message" | "predicted">;
/** The answers of the tree, each source read once and only when it is asked for. */
type TreeFacts = (resource: TreeResource, property: string) => Promise<Fact>;

function treeFacts(tree: TreeReader): TreeFacts {
  const accounts = once(() => readAccounts(tree));
  const packages = once(() => readPackages(tree));
  const settings = once(() => readSettings(tree));
  const propertiesOf = async ({
    type,
    subject,
  }: TreeResource): Promise<Readonly<Record<string, () => Promise<Fact>>>> => {
    switch (type) {
      case "file":
        return resolveFile(tree, await accounts(), subject);
      case "package":
        return resolvePackage(await packages(), subject);
      case "user":
        return resolveUser(await accounts(), subject);
      case "group":
        return resolveGroup(await accounts(), subject);
      case "service":
        return resolveService(tree, subject);
      case "kernel-param":
        return resolveKernelParam(await settings(), subject);
    }
  };
  return async (resource, property) => {
    const ask = (await propertiesOf(resource))[property];
    if (ask === undefined) throw new Error(`no resolver for ${resource.type} ${property}`);
    return ask();
  };
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => (reading ??= read());
}

type Commands = Pick<GateInput, "runCommand" | "signal">;

async function evaluateResource(
  file: string,
  resource: Resource,
  facts: TreeFacts,
  commands: Commands,
): Promise<readonly CheckResult[]> {
  const results = await answersTo(resource, facts, commands);
  const { type, id, title } = resource;
  return results.map((result) => ({
    file,
    type,
    id,
    ...(title !== undefined && { title }),
    ...result,
  }));
}

type AnonymousResult = Omit<CheckResult, "file" | "type" | "id" | "title">;

async function answersTo(
  resource: Resource,
  facts: TreeFacts,
  commands: Commands,
): Promise<readonly AnonymousResult[]> {
  if (resource.kind === "deferred") return deferResource(resource);
  if (resource.skip) {
    return resource.assertions.map((assertion) => resultOf(assertion, skipped("skipped by the checks"), clock.now()));
  }
  return resource.kind === "tree" ? evaluateOnTree(resource, facts) : evaluateCommand(resource, commands);
}

async function evaluateOnTree(resource: TreeResource, facts: TreeFacts): Promise<readonly AnonymousResult[]> {
  const results: AnonymousResult[] = [];
  for (const assertion of resource.assertions) {
    const started = clock.now();
    const [first] = results;
    const part = dependsOnFirst(resource) && first !== undefined ? skippedAfter(first) : undefined;
    results.push(
      resultOf(assertion, part ?? (await judge(assertion, () => facts(resource, assertion.property))), started),
    );
  }
  return results;
}

/** The types whose first property says whether there is anything to ask the others about. */
function dependsOnFirst({ type }: TreeResource): boolean {
  return type !== "service" && type !== "kernel-param";
}

/** As goss (shouldSkip in resource/resource.go): of what is not there, expected or not, nothing else is asked. */
function skippedAfter(first: AnonymousResult): Part | undefined {
  if (first.status !== "passed") return skipped(`skipped because "${first.property}" did not pass`);
  return first.found === false ? skipped(`skipped because "${first.property}" is false`) : undefined;
}

function skipped(message: string): Part {
  return { status: "skipped", found: null, message };
}

async function evaluateCommand(
  resource: CommandResource,
  { runCommand, signal }: Commands,
): Promise<readonly AnonymousResult[]> {
  let results: AnonymousResult[] = [];
  const attempt = async () => {
    const started = clock.now();
    const run = runOnce(runCommand, resource);
    results = [];
    for (const assertion of resource.assertions) {
      const ask = async () => (await run)[assertion.property as keyof Awaited<typeof run>];
      results.push(resultOf(assertion, await judge(assertion, ask), started));
    }
    return results.every(({ status }) => status === "passed");
  };
  await withRetries(resource, attempt, signal);
  return results;
}

function deferResource({ properties, skip, type }: DeferredResource): readonly AnonymousResult[] {
  const message = type === "matching" ? "deferred: says nothing about the tree" : "deferred: needs a booted node";
  const part: Part = skip ? skipped("skipped by the checks") : { status: "deferred", found: null, message };
  return properties.map(({ property, raw }) => ({
    property,
    expected: raw,
    ...part,
    duration_ms: 0,
  }));
}

function resultOf({ property, expectation }: Assertion, part: Part, started: Date): AnonymousResult {
  return { property, expected: expectation.raw, ...part, duration_ms: elapsed(started) };
}

/** Every way in which an answer can be missing ends here as something other than a pass. */
async function judge({ expectation }: Assertion, ask: () => Promise<Fact>): Promise<Part> {
  try {
    const fact = await ask();
    if (fact.state === "deferred") return { status: "deferred", found: null, message: `deferred: ${fact.message}` };
    const predicted = fact.predicted === true && ({ predicted: true } as const);
    if (fact.state === "absent") return { status: "failed", found: null, message: fact.message, ...predicted };
    const found = fact.shown ?? shorten(fact.value);
    const { matched, detail } = compare(expectation.matcher, fact.value);
    const message = [matched ? "as expected" : "not as expected", detail, fact.note].filter(Boolean).join("; ");
    return { status: matched ? "passed" : "failed", found, message, ...predicted };
  } catch (error) {
    return {
      status: "error",
      found: null,
      message: error instanceof Error ? error.message : String(error),
    };
  }
}

function compare(matcher: Assertion["expectation"]["matcher"], found: unknown): ReturnType<typeof match> {
  try {
    return match(matcher, found);
  } catch (error) {
    if (error instanceof CannotCompare) throw new Error(`cannot be compared: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Characters of a command's output that are kept; a verdict is to be read, not searched. */
const shownCharacters = 2000;

function shorten(found: unknown): unknown {
  if (typeof found !== "string" || found.length <= shownCharacters) return found;
  return `${found.slice(0, shownCharacters)}… (${found.length} characters)`;
}

/** The file itself and those it includes, directly or not. */
function filesReached(file: string, parsed: readonly ParsedChecks[]): readonly string[] {
  const reached = new Set<string>([file]);
  for (const name of reached)
    parsed.find((checks) => checks.file === name)?.includes.forEach((next) => reached.add(next));
  return [...reached];
}

function nothingEvaluated(file: string, results: readonly CheckResult[]): CheckResult {
  const count = (status: CheckResult["status"]) => results.filter((result) => result.status === status).length;
  const reasons = [
    [count("error"), "could not be evaluated"],
    [count("deferred"), "deferred to a booted node"],
    [count("skipped"), "skipped"],
  ] as const;
  const reason = reasons.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  return {
    file,
    type: "checks",
    id: file,
    property: "evaluated",
    status: "error",
    expected: { gt: 0 },
    found: 0,
    message: `${file}: nothing was evaluated: ${reason.length > 0 ? reason.join(", ") : "it asserts nothing"}`,
    duration_ms: 0,
  };
}

function elapsed(started: Date): number {
  return clock.now().getTime() - started.getTime();
}
