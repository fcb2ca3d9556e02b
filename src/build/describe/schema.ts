import { z } from "zod";

const text = z.string().optional().catch(undefined);

/** What of an npm package.json is told; odd values of what is not its name or version are passed over. */
export const packageJson = z.object({
  name: z.string().min(1),
  version: z.string().min(1),
  homepage: text,
  /** Before npm 2 it was {type, url}. */
  license: z
    .union([z.string(), z.object({ type: z.string() }).transform(({ type }) => type)])
    .optional()
    .catch(undefined),
  author: z
    .union([z.string(), z.object({ name: z.string() }).transform(({ name }) => name)])
    .optional()
    .catch(undefined),
});
