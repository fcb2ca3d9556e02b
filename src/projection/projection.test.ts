import assert from "node:assert/strict";
import { test } from "node:test";
import type { Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { rootArguments } from "./index.ts";

const image = { id: "img", artifacts: { rootfs: { sha256: "ab12" } } } as Image;
const request = { image, rootUrl: "s3://boot-images/img/rootfs", passthrough: "", given: "quiet" };
const expected =
  "root=live:s3://boot-images/img/rootfs rd.live.overlay.overlayfs=1 rd.neednet=1 ip=dhcp netkiln.rootfs_sha256=ab12";

test("live is the provider when none is named", () => {
  for (const name of [undefined, "", "live"]) assert.equal(rootArguments(name, request), expected);
});

test("what the operator said is not said again", () => {
  const addressed = rootArguments("live", { ...request, given: "ip=eth0:dhcp" });
  assert.equal(addressed, expected.replace(" ip=dhcp", ""));
  assert.equal(rootArguments("", { ...request, given: "quiet root=nfs:10.0.0.1:/x" }), "");
  assert.match(rootArguments("live", { ...request, given: "noroot=1" }), /^root=live:/);
});

test("an unknown provider and a passthrough that means nothing are refused", () => {
  assert.throws(
    () => rootArguments("sbps", request),
    (error: unknown) =>
      error instanceof NetkilnError && error.code === "invalid_input" && error.hint === "known ones: live",
  );
  assert.throws(() => rootArguments("toString", request), /there is no root provider "toString"/);
  assert.throws(() => rootArguments("live", { ...request, passthrough: "x:y" }), /takes no passthrough/);
});
