import { mkdir, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { run, type Argv, type RunOptions, type RunResult } from "../lib/exec.ts";
import { sha256 } from "../lib/files.ts";
import { SingleFlight } from "../lib/single-flight.ts";
import type { Login } from "./types.ts";

export interface GitFile {
  /** Relative to the folder that the URL names. */
  readonly path: string;
  /** git's own hash of the content. */
  readonly blob: string;
  readonly mode: string;
}

/**
 * Git repositories by URL: remote ones are mirrored below `cache`, local ones (a path or file://) are read where they
 * are, and may be a folder inside a work tree, which then counts as the whole repository.
 */
export interface GitStore {
  /** The commit (40 hexadecimal digits) that a branch, a tag or a (short) commit id names now. */
  resolve(url: string, reference: { branch: string } | { commit: string }): Promise<string>;
  files(url: string, commit: string): Promise<GitFile[]>;
  read(url: string, commit: string, path: string): Promise<string>;
  /** Writes the files of a commit into an existing empty folder. */
  export(url: string, commit: string, directory: string): Promise<void>;
  /** Paths of a local work tree that differ from its last commit: they will not be in any image. */
  uncommitted(url: string): Promise<string[]>;
}

/** Where git itself finds a repository. */
export interface RepositoryFolders {
  /**
   * The folder of a whole repository: of a remote one, its mirror, brought up to date when it is to be `fresh`. Throws
   * `invalid_input` for a folder inside a work tree.
   */
  folder(url: string, options: { fresh: boolean }): Promise<string>;
}

export interface RepositoryBranches {
  /** Names of a repository's branches as they are now. */
  branches(url: string): Promise<string[]>;
}

/** A repository on this machine, and the folder in it that counts ("" or "a/b/"). */
interface Place {
  readonly directory: string;
  readonly prefix: string;
}

export const gitEnvironment = { GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_NOSYSTEM: "1", HOME: "/nonexistent" };

/** What every call carries: repositories may belong to somebody else, and URLs may not run commands (ext::). */
export const gitOptions = ["-c", "safe.directory=*", "-c", "protocol.ext.allow=never", "-c", "core.quotePath=false"];

async function git(directory: string, ...args: string[]): Promise<string> {
  return (await runGit(directory, args, {})).stdout;
}

async function runGit(directory: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const argv: Argv = ["git", ...gitOptions, "-C", directory, ...args];
  return run(argv, { env: gitEnvironment, name: "git", ...options });
}

/** A remote that takes a connection and then says nothing must not hold a request for ever. */
const remoteTimeoutMs = 10 * 60_000;

export interface GitOptions {
  readonly timeoutMs?: number;
  /** User and password for a remote repository, where it wants them. */
  readonly loginFor?: (url: string) => Promise<Login | undefined>;
  /** Where the repository of a URL really is, when this server itself serves it under that URL. */
  readonly servedFrom?: (url: string) => string | undefined;
}

export function openGitStore(
  cache: string,
  options: GitOptions = {},
): GitStore & RepositoryFolders & RepositoryBranches {
  const { timeoutMs = remoteTimeoutMs, loginFor = async () => undefined, servedFrom = () => undefined } = options;
  const fetches = new SingleFlight<Place>();
  const openLocal = localPlaces();

  const open = async (wanted: string, fresh: boolean): Promise<Place> => {
    const url = servedFrom(wanted) ?? wanted;
    const path = localPath(url);
    if (path !== undefined) return openLocal(url, path);
    const directory = join(cache, sha256(url));
    const place = { directory, prefix: "" };
    const exists = async () => (await stat(directory).catch(() => undefined)) !== undefined;
    // Who can do without a fetch does not wait for one; who needs one joins only another fetch.
    if (!fresh && (await exists())) return place;
    return fetches.run(url, async () => {
      const remote = { timeoutMs, env: { ...gitEnvironment, ...loginEnvironment(url, await loginFor(url)) } };
      await ((await exists()) ? update(url, directory, remote) : mirror(url, cache, directory, remote));
      return place;
    });
  };

  const files: GitStore["files"] = remembered(async (url, commit) => {
    const { directory, prefix } = await open(url, false);
    const within = prefix === "" ? [] : [prefix];
    const listing = await git(directory, "ls-tree", "-r", "-z", "--full-tree", commit, ...within);
    return listing
      .split("\0")
      .filter((line) => line !== "")
      .map((line) => {
        const [, mode = "", blob = "", path = ""] = /^(\d+) \w+ ([0-9a-f]+)\t([\s\S]*)$/.exec(line) ?? [];
        return { path: path.slice(prefix.length), blob, mode };
      });
  });
  /** By its own hash, so that the next commit costs a process only for the files that it changed. */
  const content = remembered(async (url, blob) => git((await open(url, false)).directory, "cat-file", "blob", blob));

  return {
    folder: async (url, { fresh }) => {
      const { directory, prefix } = await open(url, fresh);
      if (prefix === "") return directory;
      throw new NetkilnError("invalid_input", `${shown(url)} is a folder inside a repository, and no repository`);
    },
    resolve: async (url, reference) => {
      const place = await open(url, "branch" in reference);
      const found = await findCommit(place, reference);
      // A commit that a mirror lacks may be newer than its last fetch.
      const commit = found ?? (await findCommit(await open(url, true), reference));
      if (commit !== undefined) return commit;
      const what = "branch" in reference ? `branch "${reference.branch}"` : `commit "${reference.commit}"`;
      throw new NetkilnError("not_found", `${what} does not exist in ${shown(url)}`, {
        hint: await known(url, place, reference),
      });
    },
    branches: async (url) => branchesOf((await open(url, true)).directory),
    files,
    read: async (url, commit, path) => {
      const file = (await files(url, commit)).find((entry) => entry.path === path);
      if (file !== undefined) return content(url, file.blob);
      throw new NetkilnError("not_found", `there is no file ${path} at ${commit.slice(0, 12)} of ${shown(url)}`);
    },
    export: async (url, commit, directory) => {
      const place = await open(url, false);
      const archive = `${directory}.tar`;
      // Run in a folder of a work tree, git archives that folder alone.
      await git(place.directory, "archive", "--format=tar", "-o", archive, commit);
      await run(["tar", "-x", "--no-same-owner", "-C", directory, "-f", archive]);
      await rm(archive);
    },
    uncommitted: async (url) => {
      if (localPath(url) === undefined) return [];
      const { directory, prefix } = await open(url, false);
      const status = await git(
        directory,
        "status",
        "--porcelain",
        "-z",
        "--",
        ...(prefix === "" ? ["."] : [`:/${prefix}`]),
      )
        // A bare repository has no work tree and so nothing uncommitted.
        .catch(() => "");
      return status
        .split("\0")
        .filter((line) => line !== "")
        .map((line) => line.slice(3));
    },
  };
}

function localPath(url: string): string | undefined {
  if (url.startsWith("file://")) return fileURLToPath(url);
  return url.startsWith("/") ? url : undefined;
}

/** Folders on this machine, and what a folder is of its repository as long as that is the same one. */
function localPlaces(): (url: string, path: string) => Promise<Place> {
  const ask = remembered(async (url, path, _repository) => askPlace(url, path));
  return async (url, path) => {
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) {
      throw new NetkilnError("not_found", `${shown(url)} is not a folder on this machine`);
    }
    const repository = await nearestRepository(path);
    return repository === undefined ? askPlace(url, path) : ask(url, path, repository);
  };
}

/** Tells repositories apart in which a folder may be; undefined where git has to look itself, as in bare ones. */
async function nearestRepository(path: string): Promise<string | undefined> {
  // A link may come to lead to another folder.
  const place = await realpath(path).catch(() => undefined);
  for (let folder = place; folder !== undefined; folder = folder === "/" ? undefined : dirname(folder)) {
    const found = await stat(join(folder, ".git"), { bigint: true }).catch(() => undefined);
    if (found !== undefined) return [place, found.dev, found.ino].join(" ");
  }
  return undefined;
}

async function askPlace(url: string, path: string): Promise<Place> {
  const prefix = await git(path, "rev-parse", "--show-prefix").catch((): never => {
    throw new NetkilnError("invalid_input", `${shown(url)} is not in a git repository`, {
      hint: `make one: git -C ${path} init && git -C ${path} add . && git -C ${path} commit -m first`,
    });
  });
  return { directory: path, prefix: prefix.trim() };
}

async function update(url: string, directory: string, remote: RunOptions): Promise<void> {
  await runGit(directory, ["fetch", "--quiet", "--prune", "origin"], remote).catch((error: unknown) =>
    refuseRemote(url, error),
  );
}

/**
 * The login as settings that git reads from its environment (git-config(1), GIT_CONFIG_COUNT): arguments would be seen
 * by every user of the host. It goes to this URL only, not to where the repository's server may send git on.
 */
function loginEnvironment(url: string, login: Login | undefined): Record<string, string> {
  if (login === undefined || !/^https?:/.test(url)) return {};
  const secret = Buffer.from(`${login.username}:${login.password}`).toString("base64");
  return {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `http.${url}.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${secret}`,
  };
}

/** Fetches all of a remote repository; a mirror appears under its name only when it is complete. */
async function mirror(url: string, cache: string, directory: string, remote: RunOptions): Promise<void> {
  await mkdir(cache, { recursive: true });
  const partial = join(cache, `${clock.randomHex(8)}.partial`);
  try {
    await runGit(cache, ["clone", "--quiet", "--mirror", "--", url, partial], remote);
    await rename(partial, directory);
  } catch (error) {
    refuseRemote(url, error);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

function refuseRemote(url: string, error: unknown): never {
  throw new NetkilnError("work_failed", `cannot read the git repository ${shown(url)}`, {
    output: error instanceof NetkilnError ? [...error.output, error.message] : [],
    hint: "check the URL, and that this host reaches it without being asked for a password",
    detail: error,
  });
}

async function branchesOf(directory: string): Promise<string[]> {
  const listing = await git(directory, "for-each-ref", "--format=%(refname:short)", "refs/heads");
  return listing.split("\n").filter((name) => name !== "");
}

const namedBranches = 8;

/** What can be named instead, for an operator who mistyped it. */
async function known(
  url: string,
  { directory }: Place,
  reference: { branch: string } | { commit: string },
): Promise<string> {
  if ("commit" in reference) {
    return localPath(url) === undefined ? "was it pushed?" : `git -C ${url} log --all lists its commits`;
  }
  const branches = await branchesOf(directory).catch(() => []);
  if (branches.length === 0) return "it has no branches yet: commit something first";
  const more = branches.length > namedBranches ? `, and ${branches.length - namedBranches} more` : "";
  return `its branches: ${branches.slice(0, namedBranches).join(", ")}${more}`;
}

async function findCommit(
  place: Place,
  reference: { branch: string } | { commit: string },
): Promise<string | undefined> {
  const name = "branch" in reference ? reference.branch : reference.commit;
  if (!/^[A-Za-z0-9_][A-Za-z0-9_./@{}^~+-]*$/.test(name)) return undefined;
  // Of a folder inside a repository, the last commit that touched it: others change nothing in an image.
  const paths = place.prefix === "" ? [] : ["--", `:/${place.prefix}`];
  const line = await git(place.directory, "log", "-1", "--format=%H", `${name}^{commit}`, ...paths).catch(() => "");
  return line.trim() || undefined;
}

/** A URL as it may stand in a message: without the password that some carry. */
function shown(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/@:]*):[^/@]*@/i, "$1@");
}

/** Answers kept; a repository of playbooks has some hundred files. */
const rememberedAnswers = 2000;

/** What a commit holds never changes, and asking git takes a process: an answer is kept until it is the oldest. */
function remembered<A extends readonly string[], T>(ask: (...about: A) => Promise<T>): (...about: A) => Promise<T> {
  const answers = new Map<string, Promise<T>>();
  return (...about) => {
    const key = about.join("\0");
    const known = answers.get(key);
    if (known !== undefined) return known;
    const answer = ask(...about);
    answers.set(key, answer);
    answer.catch(() => answers.delete(key));
    if (answers.size > rememberedAnswers) answers.delete(answers.keys().next().value ?? "");
    return answer;
  };
}
