import type { Inventory } from "../../src/image/index.ts";

/** What the documents that describe an image say of the image itself. */
export const subject = {
  name: "compute-1.0.0",
  buildId: "0123456789abcdef",
  arch: "x86_64",
  epoch: 1_750_000_000,
  tool: { name: "netkiln", version: "0.1.0" },
} as const;

/** With what documents have to take care of: one package for two architectures, one module in two places. */
export const inventory: Inventory = {
  version: 1,
  os: { id: "debian", name: "Debian", versionId: "12", codename: "bookworm", prettyName: "Debian 12" },
  databases: ["dpkg"],
  packages: [
    {
      kind: "deb",
      name: "libc6",
      version: "2.36-9",
      arch: "amd64",
      source: { name: "glibc", version: "2.36-9" },
      supplier: "GNU Libc Maintainers <libc@example.org>",
      homepage: "https://www.gnu.org/software/libc/",
      section: "libs",
      licenses: ["LGPL-2.1+", "public-domain"],
      size: 1024,
    },
    {
      kind: "deb",
      name: "libc6",
      version: "2.36-9",
      arch: "i386",
      homepage: "javascript:alert(1)",
      licenses: ["Expat"],
    },
    { kind: "npm", name: "@x/y", version: "1.0.0", path: "/a/node_modules/@x/y/package.json" },
    { kind: "npm", name: "@x/y", version: "1.0.0", path: "/b/node_modules/@x/y/package.json" },
  ],
  unread: [{ path: "/c/node_modules/z/package.json", reason: "it is no JSON" }],
  files: [],
  units: [],
  sysctl: {},
  size: 0,
};
