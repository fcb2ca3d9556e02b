import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a sha256 in lower-case hexadecimal");

/** POST /images/import: an image of files that were uploaded before, see blobs.ts. */
export const imageImportSchema = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "must be letters, digits and . _ -, at most 100"),
    /** The root tree: a tar or cpio archive, packed or not, or a squashfs. */
    archive: sha256,
    /** Published as it is, instead of the one in the tree. */
    kernel: sha256.optional(),
    /** Published as it is, instead of one that is made in the tree. */
    initrd: sha256.optional(),
    arch: z.enum(["x86_64", "aarch64"]).default("x86_64"),
    kernelParameters: z
      .string()
      .regex(/^[^\n\r]*$/, "must be one line")
      .default(""),
  })
  // The other one would come from the tree, and be for another kernel.
  .refine(
    ({ kernel, initrd }) => (kernel === undefined) === (initrd === undefined),
    "needs kernel and initrd, or neither",
  );

export type ImageImport = z.infer<typeof imageImportSchema>;
/** As it is sent. */
export type ImageImportRequest = z.input<typeof imageImportSchema>;
