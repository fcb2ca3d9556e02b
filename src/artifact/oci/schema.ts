/** Documents of the OCI image and distribution specifications (v1.1), and of Docker where they are still met. */
import { z } from "zod";

export const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  empty: "application/vnd.oci.empty.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
} as const;

/** sha256 only: it is what names blobs here, and what every registry speaks. */
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 hexadecimal digits");
const size = z.int().min(0);
const annotations = z.record(z.string(), z.string());
const mediaType = z.string().min(1).max(255);

const platform = z.object({
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
});

const descriptor = z.object({
  mediaType,
  digest,
  size,
  annotations: annotations.nullish(),
  artifactType: z.string().optional(),
  platform: platform.optional(),
});

export const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: mediaType.optional(),
  artifactType: z.string().optional(),
  config: descriptor,
  layers: z.array(descriptor).max(1000),
  subject: descriptor.optional(),
  annotations: annotations.nullish(),
});

export const indexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: mediaType.optional(),
  manifests: z.array(descriptor),
});

export const configSchema = z.object({
  architecture: z.string(),
  os: z.string(),
  rootfs: z.object({ type: z.literal("layers"), diff_ids: z.array(digest) }),
});

/** File `oci-layout`. */
export const layoutSchema = z.object({ imageLayoutVersion: z.literal("1.0.0") });

/** manifest.json of what `docker save` writes. */
export const dockerArchiveSchema = z
  .array(
    z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()).max(1000) }),
  )
  .min(1);

export const tagsSchema = z.object({ name: z.string().optional(), tags: z.array(z.string()).nullish() });

/** https://distribution.github.io/distribution/spec/auth/token/ */
export const tokenSchema = z
  .object({ token: z.string().min(1).optional(), access_token: z.string().min(1).optional() })
  .refine(({ token, access_token }) => token !== undefined || access_token !== undefined, "has no token");

export const refusalSchema = z.object({
  errors: z.array(z.object({ code: z.string(), message: z.string().optional() })),
});

/** containers-auth.json(5), and config.json of Docker, which has the same form. */
export const authFileSchema = z.object({
  auths: z
    .record(z.string(), z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }))
    .default({}),
  credHelpers: z.record(z.string(), z.string()).optional(),
});

export type Descriptor = z.infer<typeof descriptor>;
export type Manifest = z.infer<typeof manifestSchema>;
export type ImageConfig = z.infer<typeof configSchema>;
