import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hostAptSources } from "./apt-sources.ts";

const etc = await mkdtemp(join(tmpdir(), "netkiln-apt-"));
after(() => rm(etc, { recursive: true }));
await mkdir(join(etc, "sources.list.d"));
await writeFile(
  join(etc, "sources.list"),
  "# comment\ndeb http://mirror.example/debian bookworm main non-free # end\ndeb-src http://mirror.example/debian bookworm main\n",
);
await writeFile(
  join(etc, "sources.list.d/site.sources"),
  `Types: deb deb-src
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/site.gpg

Enabled: no
Types: deb
URIs: http://off.example/
Suites: bookworm
Components: main

Types: deb
URIs: http://other.example/
Suites: stable
Components: main
`,
);
await writeFile(
  join(etc, "sources.list.d/last.sources"),
  "Types: deb\nURIs: http://last.example/\nSuites: bookworm-updates\nComponents: main\n# comment\nSigned-By: /last.gpg\n",
);
await writeFile(join(etc, "sources.list.d/ignored.save"), "deb http://ignored.example/ bookworm main\n");

test("both forms are read; other suites, components and disabled sources are left out", async () => {
  assert.deepEqual(await hostAptSources("bookworm", ["main", "contrib"], etc), [
    "deb http://mirror.example/debian bookworm main",
    "deb [signed-by=/last.gpg] http://last.example/ bookworm-updates main",
    "deb [signed-by=/usr/share/keyrings/site.gpg] http://mirror.example/security bookworm-security main contrib",
  ]);
});

test("a suite that the host does not know is refused with what to do", async () => {
  await assert.rejects(hostAptSources("trixie", ["main"], etc), /nothing for the suite "trixie"/);
});
