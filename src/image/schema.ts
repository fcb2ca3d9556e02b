import { z } from "zod";

const word = (what: string, pattern: RegExp) => z.string().regex(pattern, `not a valid ${what}`);

/** Debian policy 5.6.1; `=VERSION` pins it. */
const debianPackage = word("Debian package name", /^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+~:-]+)?$/);
/** A name, or a name with version and architecture as rpm writes them (NEVRA), or a capability such as /usr/bin/vi. */
const rpmPackage = word("RPM package name", /^[A-Za-z0-9/][A-Za-z0-9._+:~^/()-]*$/);
const kernelModule = word("kernel module", /^[A-Za-z0-9][A-Za-z0-9_-]*$/);
const dracutModule = word("dracut module", /^[a-z0-9][a-z0-9-]*$/);
const relativePath = z
  .string()
  .min(1)
  .refine((path) => !path.startsWith("/") && !path.split("/").includes(".."), "must stay inside the recipe");

/** A whole root file system in another form; `kernel`, `initrd` and the tree as IMS knows it always come as well. */
const rootFormats = ["squashfs", "erofs", "cpio.gz", "cpio.zst"] as const;

/** One layer on top of the packages; exactly one of the four says what it does. */
const layer = z
  .strictObject({
    /** What operators call it. */
    name: z.string().min(1).optional(),
    /** Packages that the tree's own package manager installs. */
    packages: z.array(rpmPackage).min(1).optional(),
    /** Folder of the recipe that is laid over the tree. */
    files: relativePath.optional(),
    /** File of the recipe that runs in the tree, by its own first line. */
    script: relativePath.optional(),
    /** Playbook in the recipe. */
    playbook: relativePath.optional(),
    /** Whether a script reaches the network; what it fetches there is fresh only for a stated time. */
    network: z.boolean().optional(),
    /** Ansible groups that the tree belongs to while a playbook runs. */
    groups: z.array(word("group", /^[A-Za-z_][A-Za-z0-9_]*$/)).optional(),
    /** Variables of a playbook that win over all others. */
    extra_vars: z.record(z.string(), z.unknown()).optional(),
    /** Secrets of a playbook by name, each where it is on the build host: `file:/path`. */
    secrets: z.record(z.string(), z.string()).optional(),
  })
  .refine(
    (value) => [value.packages, value.files, value.script, value.playbook].filter(Boolean).length === 1,
    "must have exactly one of packages, files, script, playbook",
  );

const common = {
  name: word("recipe name", /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/),
  description: z.string().optional(),
  /** As IMS names architectures. */
  arch: z.enum(["x86_64", "aarch64"]).default("x86_64"),
  /** Folder of the recipe that is laid over the tree after the packages; the same as a first layer `files`. */
  files: relativePath.optional(),
  layers: z.array(layer).default([]),
  kernel: z
    .strictObject({
      /** Without it, one of the packages, or what the recipe is made from, brings the kernel. */
      package: rpmPackage.optional(),
      parameters: z
        .string()
        .regex(/^[^\n\r]*$/, "must be one line")
        .default(""),
    })
    .optional(),
  initrd: z
    .strictObject({
      /** The ways in which nodes come by their root; the initrd can go each of them. */
      roots: z
        .array(z.enum(["live", "ram", "iscsi", "nbd"]))
        .min(1)
        .default(["live"]),
      modules: z.array(dracutModule).default([]),
      omit: z.array(dracutModule).default([]),
      drivers: z.array(kernelModule).default([]),
    })
    .optional(),
  outputs: z
    .array(z.enum([...rootFormats, "verity", "oci"]))
    .min(1)
    .default(["squashfs"]),
  checks: z.array(relativePath).default([]),
  /** SOURCE_DATE_EPOCH of the tree, in seconds; the default is 2025-01-01, the same everywhere. */
  epoch: z.int().min(0).max(4_102_444_800).default(1_735_689_600),
};

const debian = z.strictObject({
  ...common,
  distribution: z.enum(["debian", "ubuntu"]),
  suite: word("suite", /^[a-z][a-z0-9-]*$/),
  variant: z.enum(["minbase", "apt", "essential", "important", "standard"]).default("minbase"),
  components: z
    .array(word("component", /^[a-z][a-z0-9-]*$/))
    .min(1)
    .default(["main"]),
  packages: z.array(debianPackage).default([]),
  /** Paths that packages may not install, as dpkg's path-exclude takes them. */
  exclude: z.array(word("path pattern", /^\/[^\s]*$/)).default([]),
});

const repository = z
  .strictObject({
    name: word("repository name", /^[A-Za-z0-9][A-Za-z0-9._-]*$/),
    url: word("URL (http, https or file)", /^(https?|file):\/\/[^\s]+$/),
    /** Files of the recipe with the OpenPGP keys that may sign its packages. */
    keys: z.array(relativePath).default([]),
    /** `false` takes packages that nobody signed. */
    signed: z.boolean().default(true),
  })
  .refine((value) => !value.signed || value.keys.length > 0, "needs keys, or signed: false");

const rpm = {
  ...common,
  /** `$releasever`. */
  release: word("release", /^[A-Za-z0-9][A-Za-z0-9._-]*$/),
  repositories: z.array(repository).min(1),
  packages: z.array(rpmPackage).default([]),
  exclude_packages: z.array(rpmPackage).default([]),
};
const el = z.strictObject({
  ...rpm,
  distribution: z.literal("el"),
  /** Module streams to enable, `NAME:STREAM`. */
  modules: z.array(word("module stream (NAME:STREAM)", /^[A-Za-z0-9._+-]+:[A-Za-z0-9._+-]+$/)).default([]),
  /** Package groups or environments, as comps names them. */
  groups: z.array(word("group", /^[A-Za-z0-9^][A-Za-z0-9._+-]*$/)).default([]),
});
const suse = z.strictObject({
  ...rpm,
  distribution: z.literal("suse"),
  patterns: z.array(word("pattern", /^[A-Za-z0-9][A-Za-z0-9._+-]*$/)).default([]),
});

/** A KIWI-ng description, as recipes of IMS are; it is beside recipe.yaml, or the import has written this. */
const kiwi = z.strictObject({
  ...common,
  distribution: z.literal("kiwi"),
  /** Profiles of the description. */
  profiles: z.array(word("profile", /^[A-Za-z0-9][A-Za-z0-9._-]*$/)).default([]),
  /** Values for the files that `.ims_recipe_template.yaml` names. */
  template: z.record(z.string(), z.string()).default({}),
});

const from = z.strictObject({
  ...common,
  distribution: z.undefined().optional(),
  /** What the tree starts from; exactly one. */
  from: z
    .strictObject({
      recipe: z.string().min(1).optional(),
      /** A name, an id, or a channel such as `compute:stable`. */
      image: z.string().min(1).optional(),
      /** As containers-transports(5) names it: docker://HOST/NAME:TAG, oci:FOLDER:TAG, oci-archive:FILE, docker-archive:FILE. */
      oci: z.string().min(1).optional(),
      /** A root tree in a tar, squashfs or cpio file: a file of the recipe, or a URL with its sha256. */
      archive: z.string().min(1).optional(),
      sha256: word("sha256", /^[0-9a-f]{64}$/).optional(),
    })
    .refine(
      (value) => [value.recipe, value.image, value.oci, value.archive].filter(Boolean).length === 1,
      "must have exactly one of recipe, image, oci, archive",
    )
    .refine(
      (value) => !/^https?:/.test(value.archive ?? "") || value.sha256 !== undefined,
      "an archive that is fetched needs its sha256",
    ),
});

export type DebianSpec = z.infer<typeof debian>;
export type ElSpec = z.infer<typeof el>;
export type SuseSpec = z.infer<typeof suse>;
export type KiwiSpec = z.infer<typeof kiwi>;
export type FromSpec = z.infer<typeof from>;
/** recipe.yaml */
export type RecipeSpec = DebianSpec | ElSpec | SuseSpec | KiwiSpec | FromSpec;
export type RecipeLayer = z.infer<typeof layer>;

const byDistribution = z.discriminatedUnion("distribution", [debian, el, suse, kiwi], {
  error: 'must have "distribution" (debian, ubuntu, el, suse or kiwi) or "from"',
});

/** The form of recipe.yaml that a document is meant to have, so that mistakes are told about that one alone. */
export function recipeSchemaFor(document: unknown): z.ZodType<RecipeSpec> {
  const isFrom = typeof document === "object" && document !== null && "from" in document;
  return isFrom ? from : byDistribution;
}
