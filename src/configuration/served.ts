import type { Readable } from "node:stream";
import { NetkilnError } from "../lib/errors.ts";
import { stream } from "../lib/exec.ts";
import { log } from "../lib/log.ts";
import { Slots } from "../lib/slots.ts";
import { gitEnvironment, gitOptions, type RepositoryFolders } from "./git.ts";

/** Below it, repositories are served over HTTP, as CSM's version control service has them. */
const base = "/vcs/";

/** Fetches that run at a time: each packs objects, which keeps a processor busy. */
const fetchesAtOnce = 8;

/** A clone over a slow network may take long; one that nobody reads any more must not stay for ever. */
const fetchTimeoutMs = 30 * 60_000;

export interface PackRequest {
  /** The version of git's protocol that the client asks for; 0 when it says nothing. */
  readonly version: 0 | 1 | 2;
}

/** Git repositories that clients may read over HTTP ("smart", gitprotocol-http(5)), by their path below /vcs. */
export interface ServedRepositories {
  /** What there is to fetch. A mirror is brought up to date before. Throws `not_found`. */
  advertise(path: string, request: PackRequest): Promise<Readable>;
  /** Answers a client's request for objects or, in version 2, for references. Throws `not_found`. */
  uploadPack(path: string, request: PackRequest & { readonly body: Buffer }): Promise<Readable>;
}

/** @param repositories where each is: an absolute path on this machine, or a URL that is mirrored */
export function openServedRepositories(
  repositories: Readonly<Record<string, string>>,
  folders: RepositoryFolders,
): ServedRepositories {
  const known = new Map(Object.entries(repositories));
  const slots = new Slots(fetchesAtOnce);
  const folderOf = async (path: string, fresh: boolean) => {
    // A name that is asked for is looked up and never becomes part of a path.
    const url = known.get(path);
    if (url !== undefined) return folders.folder(url, { fresh });
    throw new NetkilnError("not_found", `there is no repository ${path}`);
  };
  const uploadPack = (args: readonly string[], folder: string, version: number, input: Buffer) =>
    new Promise<Readable>((resolve, reject) => {
      const work = slots.run(async () => {
        const { output, ended } = stream(["git", ...gitOptions, "upload-pack", "--stateless-rpc", ...args, folder], {
          input,
          env: { ...gitEnvironment, ...(version > 0 && { GIT_PROTOCOL: `version=${version}` }) },
          timeoutMs: fetchTimeoutMs,
        });
        resolve(output);
        const { exitCode, stderr } = await ended;
        // The client has been told: git says what is wrong in its own protocol.
        if (exitCode !== 0) log.warn({ folder, exitCode, stderr }, "git upload-pack failed");
      });
      work.catch(reject);
    });
  return {
    advertise: async (path, { version }) =>
      uploadPack(["--advertise-refs"], await folderOf(path, true), version, Buffer.alloc(0)),
    uploadPack: async (path, { version, body }) => uploadPack([], await folderOf(path, false), version, body),
  };
}

/**
 * Where the repository of a clone URL is, if it is one that this server serves: it need not ask itself over the network.
 * @param gateway what the URLs of this server begin with for its clients
 */
export function servedFrom(
  url: string,
  gateway: string | undefined,
  repositories: Readonly<Record<string, string>>,
): string | undefined {
  if (gateway === undefined || !URL.canParse(url)) return undefined;
  const { origin, pathname } = new URL(url);
  if (origin !== new URL(gateway).origin || !pathname.startsWith(base)) return undefined;
  const path = pathname.slice(base.length).replace(/\.git$/, "");
  return Object.hasOwn(repositories, path) ? repositories[path] : undefined;
}
