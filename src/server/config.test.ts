import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readConfig } from "./config.ts";

const folder = mkdtempSync(join(tmpdir(), "nk-config-"));
after(() => rmSync(folder, { recursive: true }));

/** What counts for TLS when the file says `configured`, and the command line `asked`. */
function tlsOf(configured: unknown, asked?: Parameters<typeof readConfig>[2]) {
  const config = join(folder, "config.yaml");
  writeFileSync(config, JSON.stringify(configured === undefined ? {} : { admin_tls: configured }));
  return readConfig({ config, data: folder }, {}, asked).admin_tls;
}

test("who asks for TLS gets it with the certificate that is configured, or with one that is made", () => {
  const [given, named] = [{ certificate: "/a.pem", key: "/a.key" }, { names: ["api-gw.example.org"] }];
  for (const configured of [given, named]) assert.deepEqual(tlsOf(configured, { admin_tls: true }), configured);
  for (const configured of [undefined, false, true]) assert.equal(tlsOf(configured, { admin_tls: true }), true);
  assert.deepEqual(tlsOf(named, { admin_tls: given }), given, "the command line wins over the file");
  assert.deepEqual([tlsOf(undefined), tlsOf(false), tlsOf(named)], [undefined, false, named]);
});
