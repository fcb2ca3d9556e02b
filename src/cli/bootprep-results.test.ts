import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Run } from "../bootprep/index.ts";
import { payloadFileName, reportOf, savePayloads } from "./bootprep-results.ts";

test("a report has what was made and what was skipped, and not what failed", () => {
  const run: Run = {
    ...{ id: "r", file: "f", status: "succeeded", created: "2026-01-01T00:00:00Z" },
    items: [
      { section: "configuration", name: "c", action: "create", state: "done" },
      { section: "configuration", name: "kept", action: "skip", state: "reused" },
      { section: "image", name: "broken", action: "build", state: "failed" },
      { section: "image", name: "plain", action: "build", state: "reused", image: "i1" },
      { section: "image", name: "i", action: "build", state: "done", image: "i2", configuration: "c", groups: ["g"] },
    ],
  };
  assert.deepEqual(reportOf(run), {
    configurations: [{ name: "c" }],
    skipped_configurations: [{ name: "kept" }],
    images: [
      {
        ...{ name: "plain", preconfigured_image_id: null, final_image_id: "i1" },
        ...{ configuration: null, configuration_group_names: null },
      },
      {
        ...{ name: "i", preconfigured_image_id: null, final_image_id: "i2" },
        ...{ configuration: "c", configuration_group_names: ["g"] },
      },
    ],
  });
});

test("files are named as sat names them, and stay in their folder", async () => {
  const name = (text: string) => payloadFileName({ section: "configuration", name: text });
  assert.equal(name(" Compute (x86) 1.0 "), "cfs-configuration-compute-x86-1.0.json");
  assert.equal(name("../../etc/a"), "cfs-configuration-..-..-etc-a.json");
  assert.equal(payloadFileName({ section: "session_template", name: "t" }), "bos-session-template-t.json");

  const folder = await mkdtemp(join(tmpdir(), "netkiln-files-"));
  const payload = { section: "configuration", name: "C", body: { layers: [] } } as const;
  await savePayloads([payload], join(folder, "new"));
  assert.deepEqual(await readdir(join(folder, "new")), ["cfs-configuration-c.json"]);
  assert.equal(await readFile(join(folder, "new/cfs-configuration-c.json"), "utf8"), '{\n    "layers": []\n}\n');
  await assert.rejects(savePayloads([payload, { ...payload, name: "c" }], folder), { code: "invalid_input" });
  await rm(folder, { recursive: true });
});
