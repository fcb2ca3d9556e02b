import assert from "node:assert/strict";
import { test } from "node:test";
import { ociArtifact, ociImage, ociReferrer } from "./oci.ts";

const layer = (digit: string) => ({ sha256: digit.repeat(64), size: 512 });
const image = () =>
  ociImage({
    layers: [layer("a"), { ...layer("b"), createdBy: "layer slurm.yml" }],
    arch: "aarch64",
    created: 1_750_000_000,
    name: "compute-1.0.0",
    buildId: "128dafb730cbe9db",
    labels: { site: "north" },
  });

test("the same image has the same digest, always", () => {
  assert.deepEqual(image(), image());
  // A change here makes other digests of unchanged images.
  assert.equal(image().manifest.digest, "sha256:8d685ba60d03833da1e89346e3c7f6e39b3c15a12c18980cf7622cd58c5a5b01");
});

test("an image says its layers, architecture, time and build id", () => {
  const { manifest, config } = image();
  const read = JSON.parse(config.toString()) as Record<string, unknown>;
  assert.deepEqual(read["rootfs"], {
    type: "layers",
    diff_ids: [`sha256:${"a".repeat(64)}`, `sha256:${"b".repeat(64)}`],
  });
  assert.equal(read["architecture"], "arm64");
  assert.equal(read["created"], "2025-06-15T15:06:40Z");
  assert.deepEqual((read["history"] as object[])[1], {
    created: "2025-06-15T15:06:40Z",
    created_by: "layer slurm.yml",
  });
  const { annotations, layers } = JSON.parse(manifest.bytes.toString()) as Record<string, Record<string, unknown>>;
  assert.equal(annotations?.["io.netkiln.build-id"], "128dafb730cbe9db");
  assert.deepEqual(layers?.[0], {
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    digest: `sha256:${"a".repeat(64)}`,
    size: 512,
  });
});

test("an artifact has files with titles and no config, and what refers to it names it", () => {
  const files = [
    { title: "kernel", ...layer("c") },
    { title: "notes.txt", ...layer("d") },
  ];
  const artifact = ociArtifact({ files, created: 0, buildId: "1" });
  const read = JSON.parse(artifact.bytes.toString()) as Record<string, unknown>;
  assert.equal(read["artifactType"], "application/vnd.netkiln.boot.v1");
  const digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
  assert.deepEqual(read["config"], { mediaType: "application/vnd.oci.empty.v1+json", digest, size: 2 });
  const types = (read["layers"] as { mediaType: string }[]).map(({ mediaType }) => mediaType);
  assert.deepEqual(types, ["application/vnd.netkiln.boot.kernel.v1", "application/octet-stream"]);

  const sbom = { title: "sbom.json", mediaType: "application/spdx+json", ...layer("e") };
  const referrer = JSON.parse(ociReferrer({ subject: artifact, blob: sbom, created: 0 }).bytes.toString()) as object;
  const { subject, artifactType } = referrer as Record<string, unknown>;
  assert.equal(artifactType, "application/spdx+json");
  assert.deepEqual(subject, {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: artifact.digest,
    size: artifact.bytes.length,
  });
});
