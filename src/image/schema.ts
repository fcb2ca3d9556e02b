import { z } from "zod";

const word = (what: string, pattern: RegExp) => z.string().regex(pattern, `not a valid ${what}`);

/** Debian policy 5.6.1; `=VERSION` pins it. */
const packageName = word("Debian package name", /^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+~:-]+)?$/);
const relativePath = z
  .string()
  .min(1)
  .refine((path) => !path.startsWith("/") && !path.split("/").includes(".."), "must stay inside the recipe");

/** recipe.yaml */
export const recipeSchema = z.strictObject({
  name: word("recipe name", /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/),
  description: z.string().optional(),
  distribution: z.literal("debian", { error: 'must be "debian"' }),
  suite: word("suite", /^[a-z][a-z0-9-]*$/),
  arch: z.literal("x86_64", { error: 'must be "x86_64"' }).default("x86_64"),
  variant: z.enum(["minbase", "apt", "essential", "important", "standard"]).default("minbase"),
  components: z
    .array(word("component", /^[a-z][a-z0-9-]*$/))
    .min(1)
    .default(["main"]),
  packages: z.array(packageName).default([]),
  /** Paths that packages may not install, as dpkg's path-exclude takes them. */
  exclude: z.array(word("path pattern", /^\/[^\s]*$/)).default([]),
  /** Folder of the recipe that is laid over the tree after the packages. */
  files: relativePath.optional(),
  kernel: z
    .strictObject({
      package: packageName,
      parameters: z
        .string()
        .regex(/^[^\n\r]*$/, "must be one line")
        .default(""),
    })
    .optional(),
  initrd: z
    .strictObject({
      modules: z.array(word("dracut module", /^[a-z0-9][a-z0-9-]*$/)).default([]),
      omit: z.array(word("dracut module", /^[a-z0-9][a-z0-9-]*$/)).default([]),
      drivers: z.array(word("kernel module", /^[A-Za-z0-9][A-Za-z0-9_-]*$/)).default([]),
    })
    .optional(),
  checks: z.array(relativePath).default([]),
  /** SOURCE_DATE_EPOCH of the tree, in seconds; the default is 2025-01-01, the same everywhere. */
  epoch: z.int().min(0).max(4_102_444_800).default(1_735_689_600),
});

export type RecipeSpec = z.infer<typeof recipeSchema>;
