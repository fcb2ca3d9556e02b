import { createPrivateKey, generateKeyPairSync, X509Certificate, type KeyObject } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { clock, timestamp } from "../lib/clock.ts";
import { NetkilnError, type Problem } from "../lib/errors.ts";
import { run } from "../lib/exec.ts";
import { writeFileAtomic } from "../lib/files.ts";

export interface CertificateRules {
  /** Where made certificates and their keys stand; only its owner may read them. */
  readonly folder: string;
  /** Host names and addresses that clients call the server by; a made certificate is for these. */
  readonly names: readonly string[];
  /** PEM files of the site's own; without them, one is made. */
  readonly given?: { readonly certificate: string; readonly key: string } | undefined;
}

/** What TLS needs, and what is told of it. */
export interface ServerCertificate {
  /** PEM, with what leads to the authority behind it. */
  readonly certificate: string;
  /** PEM; never told. */
  readonly key: string;
  readonly isMade: boolean;
  /** As the certificate has them: `DNS:admin, IP Address:10.1.0.1`. */
  readonly names: string;
  readonly expires: string;
  /** SHA-256. */
  readonly fingerprint: string;
  /** What clients have to trust; only of a made one. */
  readonly authority?: { readonly file: string; readonly certificate: string };
}

export interface Certificates {
  /** The certificate as it is now: read again, and made anew where that is due. Throws `refused` for one that is no good. */
  read(): Promise<ServerCertificate>;
  /** Makes a new one before its time. Throws `conflict` when the site has given its own. */
  renew(): Promise<ServerCertificate>;
}

const authorityDays = 3650;
/** What clients take as the longest. */
const serverDays = 397;
const renewDays = 30;
const dayMs = 86_400_000;

export function openCertificates({ folder, names, given }: CertificateRules): Certificates {
  if (given !== undefined) {
    return {
      read: () => readGiven(given),
      renew: async () => {
        throw new NetkilnError("conflict", `the certificate is the site's own: ${given.certificate}`, {
          hint: "replace the files of certificate and key; they are read again at once",
        });
      },
    };
  }
  return {
    read: async () => (await readMade(folder, names)) ?? make(folder, names),
    renew: () => make(folder, names),
  };
}

async function readGiven(given: { certificate: string; key: string }): Promise<ServerCertificate> {
  const problems: Problem[] = [];
  const told = (file: string, message: string, hint?: string) => {
    problems.push({ file, message, ...(hint !== undefined && { hint }) });
    return undefined;
  };
  const textOf = (file: string) => readFile(file, "utf8").catch(() => told(file, "it cannot be read"));
  const [certificate, key] = [await textOf(given.certificate), await textOf(given.key)];
  const parsed =
    certificate &&
    attempt(
      () => new X509Certificate(certificate),
      () => told(given.certificate, "it is no certificate in PEM"),
    );
  const own =
    key &&
    attempt(
      () => createPrivateKey(key),
      () =>
        told(given.key, "it is no private key in PEM, or it is encrypted", "nobody is at hand to type a passphrase"),
    );
  const mode = (await stat(given.key).catch(() => undefined))?.mode ?? 0;
  if ((mode & 0o007) !== 0) told(given.key, "everybody may use this key", `run chmod o= ${given.key}`);
  if (parsed && own && !parsed.checkPrivateKey(own)) told(given.key, `it is not the key of ${given.certificate}`);
  const now = clock.now().getTime();
  if (parsed && Date.parse(parsed.validTo) <= now) told(given.certificate, `it expired on ${parsed.validTo}`);
  if (parsed && Date.parse(parsed.validFrom) > now)
    told(given.certificate, `it is not valid before ${parsed.validFrom}`);
  if (problems.length > 0 || !certificate || !key || !parsed) {
    throw new NetkilnError("refused", "the certificate of the admin door cannot be used", { problems });
  }
  return { ...facts(parsed), certificate, key, isMade: false };
}

function attempt<T>(make: () => T, otherwise: () => undefined): T | undefined {
  try {
    return make();
  } catch {
    return otherwise();
  }
}

function facts(parsed: X509Certificate) {
  return {
    names: parsed.subjectAltName ?? "",
    expires: timestamp(new Date(parsed.validTo)),
    fingerprint: parsed.fingerprint256,
  };
}

const files = (folder: string) => ({
  authorityKey: join(folder, "ca.key"),
  authority: join(folder, "ca.pem"),
  // Key and certificate in one file, so that they are always of each other.
  server: join(folder, "server.pem"),
});

/** Undefined when there is none yet, or it is time for another one. */
async function readMade(folder: string, names: readonly string[]): Promise<ServerCertificate | undefined> {
  const { authority: file, server } = files(folder);
  const read = (path: string) => readFile(path, "utf8").catch(() => undefined);
  const [text, authority] = [await read(server), await read(file)];
  if (text === undefined || authority === undefined) return undefined;
  const end = text.indexOf("-----BEGIN CERTIFICATE-----");
  const [key, certificate] = [text.slice(0, end), text.slice(end)];
  const parsed = attempt(
    () => new X509Certificate(certificate),
    () => undefined,
  );
  if (parsed === undefined) return undefined;
  const isFor = (name: string) => (isIP(name) === 0 ? parsed.checkHost(name) : parsed.checkIP(name)) !== undefined;
  const isDue = Date.parse(parsed.validTo) - clock.now().getTime() < renewDays * dayMs;
  if (isDue || !names.every(isFor) || !parsed.verify(new X509Certificate(authority).publicKey)) return undefined;
  return { ...facts(parsed), certificate, key, isMade: true, authority: { file, certificate: authority } };
}

/** Makes a certificate, and before the first one the authority that signs it. */
async function make(folder: string, names: readonly string[]): Promise<ServerCertificate> {
  const { authorityKey, authority, server } = files(folder);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const work = await mkdtemp(join(folder, "work-"));
  try {
    const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;
    if (!(await exists(authorityKey))) await writeFileAtomic(authorityKey, newKey(), 0o600);
    if (!(await exists(authority))) {
      // A common name has 64 characters at most (X.520).
      const subject = `/CN=${`netkiln CA of ${names[0] ?? "localhost"}`.slice(0, 64)}`;
      const made = await request(work, "authority", names, [
        "-key",
        authorityKey,
        "-subj",
        subject,
        "-days",
        `${authorityDays}`,
      ]);
      await writeFileAtomic(authority, made);
    }
    const key = newKey();
    const keyFile = join(work, "server.key");
    await writeFile(keyFile, key, { mode: 0o600 });
    const by = ["-CA", authority, "-CAkey", authorityKey];
    const made = await request(work, "server", names, [
      ...by,
      ...["-key", keyFile, "-subj", "/CN=netkiln", "-days", `${serverDays}`],
    ]);
    await writeFileAtomic(server, `${key}${made}`, 0o600);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  const read = await readMade(folder, names);
  if (read !== undefined) return read;
  throw new NetkilnError("internal", "the certificate that was made is no good", {
    hint: "is the clock of this machine right? --listen with --certificate and --key takes one of your own",
  });
}

function newKey(): string {
  const { privateKey }: { privateKey: KeyObject } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return String(privateKey.export({ format: "pem", type: "pkcs8" }));
}

/** Node reads certificates and makes none, so openssl does: a certificate of a section below, in PEM. */
async function request(
  work: string,
  section: "authority" | "server",
  names: readonly string[],
  more: readonly string[],
): Promise<string> {
  const config = join(work, "openssl.cnf");
  const out = join(work, `${section}.pem`);
  await writeFile(config, configOf(names));
  const form = ["-x509", "-new", "-sha256", "-config", config, "-extensions", section, "-out", out];
  await run(["openssl", "req", ...form, ...more]);
  return readFile(out, "utf8");
}

/** openssl-x509v3_config(5) */
function configOf(names: readonly string[]): string {
  const alternative = names.map((name) => `${isIP(name) === 0 ? "DNS" : "IP"}:${name}`).join(",");
  return `[req]
distinguished_name = subject
[subject]
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${alternative}
`;
}
