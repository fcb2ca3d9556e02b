import assert from "node:assert/strict";
import { test } from "node:test";
import { purlOf } from "./purl.ts";

const debian = { id: "debian", name: "Debian", versionId: "12", codename: "bookworm" };
const rocky = { id: "rocky", name: "Rocky Linux", versionId: "9.4" };
const suse = { id: "opensuse-leap", name: "openSUSE Leap", versionId: "15.6" };

type Case = readonly [package_: Parameters<typeof purlOf>[0], os: Parameters<typeof purlOf>[1], purl: string];
const cases: readonly Case[] = [
  [
    { kind: "deb", name: "libstdc++6", version: "1:12.2.0-14+deb12u1~x", arch: "amd64" },
    debian,
    "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1~x?arch=amd64&distro=bookworm",
  ],
  [
    { kind: "deb", name: "x", version: "1" },
    { id: "kali", name: "Kali", versionId: "2024" },
    "pkg:deb/kali/x@1?distro=kali-2024",
  ],
  [
    { kind: "rpm", name: "bash", version: "5.1.8-6.el9", arch: "x86_64" },
    rocky,
    "pkg:rpm/rocky/bash@5.1.8-6.el9?arch=x86_64&distro=rocky-9.4",
  ],
  [
    { kind: "rpm", name: "vim", version: "2:9.1-1", arch: "noarch" },
    suse,
    "pkg:rpm/opensuse/vim@9.1-1?arch=noarch&distro=opensuse-leap-15.6&epoch=2",
  ],
  [{ kind: "pypi", name: "My_Package", version: "1.0+local" }, debian, "pkg:pypi/my-package@1.0%2Blocal"],
  [{ kind: "npm", name: "@scope/tool", version: "1.0.0" }, debian, "pkg:npm/%40scope/tool@1.0.0"],
];
for (const [entry, os, purl] of cases) test(purl, () => assert.equal(purlOf(entry, os), purl));
