import type { Verdict } from "../../compliance/index.ts";
import type { Image, ImageCommit, Inventory, InventoryPackage, ManualLayer } from "../../image/index.ts";
import { timestamp } from "../../lib/clock.ts";
import type { Planned } from "../types.ts";
import { purlOf } from "./purl.ts";

/** A file of an image, by its digest. */
export interface Subject {
  readonly name: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A package file that the build took, as its lock names it. */
export interface LockedPackage extends Pick<InventoryPackage, "kind" | "name" | "version" | "arch"> {
  readonly sha256: string;
}

/** Who built or verified: a URI that stays the same, and the versions of the tools it used. */
export interface Builder {
  readonly id: string;
  readonly tools: Readonly<Record<string, string>>;
}

/** One run of a build: when, and under which id its log is kept. Times as `timestamp` gives them. */
export interface Run {
  readonly id: string;
  readonly started: string;
  readonly finished: string;
}

export interface ProvenanceData {
  readonly image: Pick<Image, "name" | "buildId" | "arch" | "epoch" | "recipe" | "base" | "manual">;
  readonly subjects: readonly Subject[];
  readonly os: Inventory["os"];
  readonly steps: readonly Pick<Planned, "kind" | "title" | "key" | "inputs">[];
  readonly packages: readonly LockedPackage[];
  readonly commits: readonly ImageCommit[];
  readonly builder: Builder;
  readonly run: Run;
}

/** https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md */
export interface Statement<Type extends string, Predicate> {
  readonly _type: "https://in-toto.io/Statement/v1";
  readonly subject: readonly ResourceDescriptor[];
  readonly predicateType: Type;
  readonly predicate: Predicate;
}

/** https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md */
interface ResourceDescriptor {
  readonly name?: string;
  readonly uri?: string;
  readonly digest?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

const buildType = "urn:netkiln:image-build:1";
const provenanceType = "https://slsa.dev/provenance/v1";
const testResultType = "https://in-toto.io/attestation/test-result/v0.1";
const reproducedType = "urn:netkiln:reproduced:1";

/** The form in which statements are stored and signed: the same statement is the same bytes. */
export function statementText(statement: Statement<string, unknown>): string {
  return `${JSON.stringify(statement, null, 2)}\n`;
}

/** How an image came to be: SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance). */
export function provenanceStatement(data: ProvenanceData) {
  const { image, steps, builder, run } = data;
  return statement(data.subjects, provenanceType, {
    buildDefinition: {
      buildType,
      externalParameters: {
        image: image.name,
        arch: image.arch,
        ...(image.recipe !== undefined && { recipe: image.recipe.name }),
        ...(image.base !== undefined && { base: image.base.name }),
        playbooks: data.commits.map(({ playbook }) => playbook),
      },
      internalParameters: {
        buildId: image.buildId,
        sourceDateEpoch: image.epoch,
        sourceDate: timestamp(new Date(image.epoch * 1000)),
        steps: steps.map(({ kind, title, key, inputs }) => ({ kind, title, key, inputs })),
      },
      resolvedDependencies: dependenciesOf(data),
    },
    runDetails: {
      builder: { id: builder.id, version: builder.tools },
      metadata: { invocationId: run.id, startedOn: run.started, finishedOn: run.finished },
    },
  });
}

function dependenciesOf({ image, packages, commits, os }: ProvenanceData): ResourceDescriptor[] {
  const { recipe, base, manual = [] } = image;
  return [
    ...(recipe === undefined ? [] : [{ name: `recipe ${recipe.name}`, digest: { sha256: recipe.digest } }]),
    // A build id is a digest of ours and no file's, so it is told beside and not as one.
    ...(base === undefined ? [] : [{ name: `image ${base.name}`, annotations: { buildId: base.buildId } }]),
    ...commits.map(({ url, commit, playbook }) => ({
      name: playbook,
      uri: `git+${withoutCredentials(url)}`,
      digest: { gitCommit: commit },
    })),
    // A diff ID is the digest of the layer's archive (OCI image specification). Who made it is all that is known of it.
    ...manual.map(({ layer, ...annotations }) => ({
      name: "manual layer",
      digest: { sha256: layer },
      annotations: { ...annotations },
    })),
    ...packages.map((entry) => ({ uri: purlOf(entry, os), digest: { sha256: entry.sha256 } })),
  ];
}

/** A statement is published; what lets netkiln read a repository is not. */
function withoutCredentials(url: string): string {
  if (url.startsWith("/")) return `file://${url}`;
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (parsed.username === "" && parsed.password === "" && parsed.search === "") return url;
  parsed.username = "";
  parsed.password = "";
  parsed.search = "";
  return parsed.href;
}

/**
 * What the gate found: the test-result predicate v0.1 of in-toto. What only a booted node can tell, and what the
 * checks skip, is in lists of our own, so that it counts as passed for nobody.
 */
export function testResultStatement(subjects: readonly Subject[], verdict: Verdict) {
  const named = (...statuses: Verdict["results"][number]["status"][]) => [
    ...new Set(
      verdict.results
        .filter(({ status }) => statuses.includes(status))
        .map(({ file, type, id, property }) => `${file}: ${type} ${id} ${property}`),
    ),
  ];
  return statement(subjects, testResultType, {
    result: verdict.status === "passed" ? ("PASSED" as const) : ("FAILED" as const),
    configuration: verdict.files.map(({ file, sha256 }) => ({ name: file, digest: { sha256 } })),
    passedTests: named("passed"),
    warnedTests: [],
    failedTests: named("failed", "error"),
    netkiln_deferredTests: named("deferred"),
    netkiln_skippedTests: named("skipped"),
  });
}

/** What a rebuild from the lock came to. */
export interface VerificationData {
  readonly buildId: string;
  /** The files of the published image. */
  readonly subjects: readonly Subject[];
  /** What the rebuild made, by the same names; a name that is missing was not made. */
  readonly rebuilt: readonly Subject[];
  /** Paths in the tree that differ, and how; for files of the image that are no trees, their names. */
  readonly differences: readonly { readonly path: string; readonly aspects: readonly string[] }[];
  /** Layers made by hand, which the rebuild took as they are. */
  readonly manual?: readonly ManualLayer[] | undefined;
  readonly builder: Builder;
  readonly run: Run;
}

/**
 * Says whether a rebuild gave the same bytes. `REPRODUCED` only when every file of the image was made again and is
 * equal; `INCOMPLETE` when some were not made, or are made of layers by hand that were only taken as they are, so that
 * nothing is known about them; else `DIFFERENT`.
 */
export function reproducedStatement(data: VerificationData) {
  const { buildId, subjects, rebuilt, differences, manual = [], builder, run } = data;
  const found = new Map(rebuilt.map(({ name, sha256 }) => [name, sha256]));
  const artifacts = subjects.map(({ name, sha256 }) => {
    const again = found.get(name);
    const result = again === undefined ? "MISSING" : again === sha256 ? "SAME" : "DIFFERENT";
    return { name, result, published: { sha256 }, ...(again !== undefined && { rebuilt: { sha256: again } }) } as const;
  });
  const has = (result: (typeof artifacts)[number]["result"]) => artifacts.some((entry) => entry.result === result);
  const incomplete = artifacts.length === 0 || has("MISSING") || manual.length > 0;
  const differs = has("DIFFERENT") || differences.length > 0;
  const result = differs ? "DIFFERENT" : incomplete ? "INCOMPLETE" : "REPRODUCED";
  return statement(subjects, reproducedType, {
    result: result as "REPRODUCED" | "DIFFERENT" | "INCOMPLETE",
    buildId,
    artifacts,
    differences,
    ...(manual.length > 0 && { manualLayers: manual }),
    verifier: { id: builder.id, version: builder.tools },
    metadata: { invocationId: run.id, startedOn: run.started, finishedOn: run.finished },
  });
}

function statement<Type extends string, Predicate>(
  subjects: readonly Subject[],
  predicateType: Type,
  predicate: Predicate,
): Statement<Type, Predicate> {
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: subjects.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType,
    predicate,
  };
}
