import { NetkilnError } from "../../lib/errors.ts";

/** A repository in a registry. */
export interface Repository {
  /** `HOST` or `HOST:PORT`. */
  readonly registry: string;
  /** Path of the repository, such as `site/compute`. */
  readonly name: string;
}

export interface Reference extends Repository {
  /** A digest when there is one, a tag otherwise. */
  readonly reference: string;
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests */
const nameForm = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const digestForm = /^sha256:[0-9a-f]{64}$/;
const hostForm = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;

export function isRepositoryName(text: string): boolean {
  return text.length <= 255 && nameForm.test(text);
}

export function isTag(text: string): boolean {
  return tagForm.test(text);
}

export function isDigest(text: string): boolean {
  return digestForm.test(text);
}

/**
 * Reads `docker://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]`. Without either the tag is `latest`; with both the digest
 * counts. The host has to be named: which registry a short name means would depend on the machine.
 */
export function parseReference(text: string): Reference {
  const refuse = (reason: string) =>
    new NetkilnError("invalid_input", `"${text}" names no image in a registry: ${reason}`, {
      hint: "write docker://HOST[:PORT]/NAME[:TAG] or docker://HOST[:PORT]/NAME@sha256:DIGEST",
    });
  if (!text.startsWith("docker://")) throw refuse('it does not begin with "docker://"');
  const rest = text.slice("docker://".length);
  const slash = rest.indexOf("/");
  const host = rest.slice(0, Math.max(slash, 0));
  // A host is told from the first part of a name as everywhere: by a dot, a port, or by being localhost.
  if (!hostForm.test(host) || !(/[.:]/.test(host) || host === "localhost")) throw refuse("the registry is missing");
  const [named = "", digest, ...more] = rest.slice(slash + 1).split("@");
  const [, path = "", tag] = /^([^:]*)(?::(.*))?$/s.exec(named) ?? [];
  if (more.length > 0 || (digest !== undefined && !isDigest(digest))) {
    throw refuse('after "@" there must be sha256: and 64 hexadecimal digits');
  }
  if (tag !== undefined && !isTag(tag)) throw refuse(`"${tag}" is no tag`);
  const hub = host === "docker.io" && !path.includes("/");
  const name = hub ? `library/${path}` : path;
  if (!isRepositoryName(name)) throw refuse(`"${path}" is no name of a repository`);
  return { registry: host, name, reference: digest ?? tag ?? "latest" };
}
