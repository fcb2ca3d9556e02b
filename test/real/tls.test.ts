/** The administrators' door with TLS, as curl, openssl and the command line see it. */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeFolder, runCli, startServer, waitUntil, type TestServer } from "../support/server.ts";
import { tool } from "../support/site.ts";

const password = "correct horse battery";

/** A certificate of the site's own, which is its own authority. */
async function makeCertificate(
  folder: string,
  name: string,
  ...more: string[]
): Promise<{ certificate: string; key: string }> {
  await mkdir(folder, { recursive: true });
  const [certificate, key] = [join(folder, "site.pem"), join(folder, "site.key")];
  const form = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`];
  const names = ["-addext", "subjectAltName=IP:127.0.0.1"];
  await tool("openssl", "req", ...form, ...names, "-keyout", key, "-out", certificate, "-days", "30", ...more);
  return { certificate, key };
}

/** What openssl says of the server: its certificate, or why there is no connection. */
async function handshake(url: string, ...more: string[]): Promise<string> {
  const script = 'openssl s_client -connect "$@" -brief </dev/null 2>&1 || true';
  return tool("sh", "-c", script, "sh", new URL(url).host, ...more);
}

describe("a made certificate", () => {
  let server: TestServer;
  let ca: string;
  before(async () => {
    server = await startServer({ args: ["--listen", "127.0.0.1:0", "--tls", "--no-worker"] });
    ca = join(server.data, "keys/tls/ca.pem");
    const created = await server.cli("accounts", "create", "alice", "--role", "operator", "--password-file", "pw");
    assert.match(created.stderr, /pw cannot be read/);
    await writeFile(join(server.data, "pw"), `${password}\n`);
    const made = await server.cli("accounts", "create", "alice", "--role", "operator", "--password-file", "pw");
    assert.equal(made.stdout, "account alice has the role operator\n", made.stderr);
  });
  after(() => server.stop());

  test("is trusted by curl through the authority, which cray and sat get a token with", async () => {
    assert.match(server.admin ?? "", /^https:\/\/127\.0\.0\.1:\d+$/);
    const url = `${server.admin}/keycloak/realms/shasta/protocol/openid-connect/token`;
    const form = ["-d", "grant_type=password", "-d", "client_id=shasta", "-d", "username=alice"];
    const login = [...form, "--data-urlencode", `password=${password}`];
    const { access_token: token } = JSON.parse(await tool("curl", "-sS", "--cacert", ca, ...login, url));
    const bearer = ["-H", `Authorization: Bearer ${token}`];
    const list = `${server.admin}/apis/ims/v3/images`;
    assert.equal(await tool("curl", "-sS", "--cacert", ca, ...bearer, list), "[]");
    await assert.rejects(tool("curl", "-sS", ...bearer, list), /certificate/);
    const localhost = list.replace("127.0.0.1", "localhost");
    assert.equal(await tool("curl", "-sS", "--cacert", ca, ...bearer, localhost), "[]");
    const code = await tool("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ca, list);
    assert.equal(code, "401");
  });

  test("is spoken with TLS 1.2 and newer", async () => {
    const url = server.admin ?? "";
    const trusting = ["-CAfile", ca, "-verify_return_error", "-verify_ip", "127.0.0.1"];
    assert.match(await handshake(url, ...trusting, "-tls1_3"), /Protocol version: TLSv1\.3[\s\S]*Verification: OK/);
    assert.match(await handshake(url, ...trusting, "-tls1_2"), /Protocol version: TLSv1\.2[\s\S]*Verification: OK/);
    assert.doesNotMatch(await handshake(url, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"), /CONNECTION ESTABLISHED/);
  });

  test("is what the command line is told of, and trusts when it is given", async () => {
    const shown = await server.cli("certificate", "show");
    assert.match(shown.stdout, /^names: +IP Address:127\.0\.0\.1, DNS:localhost$/m);
    const authority = await server.cli("certificate", "show", "--authority");
    assert.equal(authority.stdout, await readFile(ca, "utf8"));
    const outside = (cacert: string, ...args: string[]) =>
      runCli(["--server", server.admin ?? "", ...args], { environment: { NETKILN_CACERT: cacert }, input: password });
    const token = await outside(ca, "login", "alice");
    assert.equal(token.exitCode, 0, token.stderr);
    const images = (environment: Record<string, string>) =>
      runCli(["--server", server.admin ?? "", "images", "list"], { environment });
    const bearer = { NETKILN_TOKEN: token.stdout.trim() };
    assert.equal((await images({ ...bearer, NETKILN_CACERT: ca })).stdout, "nothing found\n");
    const untrusting = await images(bearer);
    assert.equal(untrusting.exitCode, 5);
    assert.match(
      untrusting.stderr,
      /the certificate of the server on https:\S+ is not trusted.*\nhint: give the authority/,
    );
    const wrong = await runCli(["--server", server.admin ?? "", "--cacert", ca, "login", "alice"], { input: "wrong" });
    assert.equal(wrong.stderr, "error: alice cannot log in: Invalid user credentials\n");
    assert.equal(wrong.exitCode, 4);
  });

  test("and its keys are their owner's alone", async () => {
    for (const name of ["ca.key", "server.pem"]) {
      assert.equal((await stat(join(server.data, "keys/tls", name))).mode & 0o777, 0o600, name);
    }
    assert.equal((await stat(join(server.data, "keys/token.key"))).mode & 0o777, 0o600);
  });

  test("is renewed without a restart, by the same authority", async () => {
    const fingerprint = async () => (await server.json<{ fingerprint: string }>("certificate", "show")).fingerprint;
    const before = await fingerprint();
    const kept = await readFile(ca, "utf8");
    assert.equal((await server.cli("certificate", "renew")).exitCode, 0);
    const after = await fingerprint();
    assert.notEqual(after, before);
    assert.equal(await readFile(ca, "utf8"), kept);
    server.hangUp();
    await waitUntil(20, async () => (await served(server.admin ?? "")) === after);
  });
});

/** The fingerprint of the certificate that a server shows. */
async function served(url: string): Promise<string> {
  const script = 'openssl s_client -connect "$1" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256';
  return (await tool("sh", "-c", script, "sh", new URL(url).host)).trim().replace(/^.*=/, "");
}

describe("a certificate of the site's own", () => {
  let folder: string;
  before(async () => {
    folder = await makeFolder();
  });
  after(() => rm(folder, { recursive: true }));

  test("is used, and another one in its place is taken at once", async () => {
    const { certificate, key } = await makeCertificate(join(folder, "good"), "first");
    const args = ["--listen", "127.0.0.1:0", "--certificate", certificate, "--key", key, "--no-worker"];
    const server = await startServer({ args });
    try {
      const url = server.admin ?? "";
      const code = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", certificate];
      assert.equal(await tool("curl", ...code, `${url}/openapi.json`), "200");
      const before = await served(url);
      // Only half of it is there, which is no good: the one of before stays.
      await writeFile(certificate, "-----BEGIN CERTIFICATE-----\n");
      server.hangUp();
      await waitUntil(20, () => server.said().includes("the one of before stays in use"));
      assert.equal(await served(url), before);
      await makeCertificate(join(folder, "good"), "second");
      // Without being told.
      await waitUntil(20, async () => (await served(url)) !== before);
      assert.equal(await tool("curl", ...code, `${url}/openapi.json`), "200");
      const renew = await server.cli("certificate", "renew");
      assert.match(renew.stderr, /the certificate is the site's own/);
    } finally {
      await server.stop();
    }
  });

  test("is looked at before anything starts, and all that is wrong is told", async () => {
    const serve = (certificate: string, key: string) =>
      runCli([
        ...["serve", "--data", join(folder, "data"), "--node-door", "127.0.0.1:0", "--no-worker"],
        ...["--listen", "127.0.0.1:0", "--certificate", certificate, "--key", key],
      ]);
    const one = await makeCertificate(join(folder, "one"), "one");
    const two = await makeCertificate(join(folder, "two"), "two");
    await chmod(two.key, 0o644);
    const mixed = await serve(one.certificate, two.key);
    assert.equal(mixed.exitCode, 4);
    assert.equal(
      mixed.stderr,
      `${two.key}: everybody may use this key (run chmod o= ${two.key})
${two.key}: it is not the key of ${one.certificate}
error: the certificate of the admin door cannot be used
`,
    );
    const absent = await serve(join(folder, "none.pem"), one.certificate);
    assert.match(absent.stderr, /none\.pem: it cannot be read\n.*site\.pem: it is no private key in PEM/);
    const { certificate, key } = await makeCertificate(join(folder, "old"), "old");
    const { validTo } = await expired(certificate, key);
    assert.match((await serve(certificate, key)).stderr, new RegExp(`it expired on ${validTo}`));
  });

  /** openssl makes no certificate for the past without an authority's help. */
  async function expired(certificate: string, key: string): Promise<{ validTo: string }> {
    const config = join(folder, "ca.cnf");
    const base = join(folder, "ca");
    await mkdir(base);
    await writeFile(join(base, "index.txt"), "");
    await writeFile(
      config,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${base}/index.txt\nnew_certs_dir=${base}\nrand_serial=yes\npolicy=p\ndefault_md=sha256\n[p]\ncommonName=supplied\n`,
    );
    const request = join(base, "old.csr");
    await tool("openssl", "req", "-new", "-key", key, "-subj", "/CN=old", "-out", request);
    const span = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
    const signed = ["-selfsign", "-keyfile", key, "-in", request, "-out", certificate, "-batch", "-notext"];
    await tool("openssl", "ca", "-config", config, ...signed, ...span);
    return { validTo: "Feb  1 00:00:00 2020 GMT" };
  }
});

test("tokens are not sent in the clear: beyond loopback there is TLS, or nothing", async () => {
  const folder = await makeFolder();
  const config = join(folder, "config.yaml");
  await writeFile(config, "admin_tls: false\n");
  const place = ["--data", join(folder, "data"), "--node-door", "127.0.0.1:0", "--no-worker"];
  const plain = await runCli(["serve", ...place, "--config", config, "--listen", "0.0.0.0:0"]);
  assert.equal(plain.exitCode, 2);
  assert.match(plain.stderr, /^error: administration on 0\.0\.0\.0 needs TLS/);
  await rm(folder, { recursive: true });
});
