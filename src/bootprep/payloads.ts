/** What a client of CFS and BOS would send to make what a plan makes (`--save-files`). */
import type { Plan, PlannedConfiguration, PlannedInventory, PlannedTemplate } from "./ports.ts";

export interface Payload {
  readonly section: "configuration" | "session_template";
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What a boot set says of its image. */
export interface ImageLink {
  readonly path: string;
  readonly etag: string;
  readonly type: string;
}

/** As sat has it where an image is not there yet. */
const unknownLink: ImageLink = { path: "TBD", etag: "TBD", type: "TBD" };

/**
 * The payloads of everything that the plan does not skip.
 * @param linkOf where the image of a session template is; undefined when it is not built yet
 */
export async function payloadsOf(
  { configurations, templates }: Plan,
  linkOf: (template: MadeTemplate) => Promise<ImageLink | undefined>,
): Promise<readonly Payload[]> {
  const made = templates.filter((template): template is MadeTemplate => template.action !== "skip");
  return [
    ...configurations
      .filter(({ action }) => action !== "skip")
      .map((configuration) => configurationPayload(configuration)),
    ...(await Promise.all(made.map(async (template) => templatePayload(template, await linkOf(template))))),
  ];
}

export type MadeTemplate = Exclude<PlannedTemplate, { action: "skip" }>;

/** The body of PUT /apis/cfs/v3/configurations/NAME. */
function configurationPayload({ name, layers, additionalInventory }: PlannedConfiguration): Payload {
  return {
    section: "configuration",
    name,
    body: {
      layers: layers.map(({ playbook, specialParameters: { imsRequireDkms }, ...repository }) => ({
        ...repositoryOf(repository),
        playbook,
        ...(imsRequireDkms !== undefined && { special_parameters: { ims_require_dkms: imsRequireDkms } }),
      })),
      ...(additionalInventory !== undefined && { additional_inventory: repositoryOf(additionalInventory) }),
    },
  };
}

/** A branch goes alone: CFS finds its commit and keeps both. */
function repositoryOf({ name, url, source, branch, commit }: PlannedInventory): Record<string, string> {
  return {
    ...(name !== undefined && { name }),
    ...(source === undefined ? { clone_url: url } : { source }),
    ...(branch === undefined ? { commit } : { branch }),
  };
}

/** The body of PUT /apis/bos/v2/sessiontemplates/NAME. */
function templatePayload({ name, configuration, bootSets }: MadeTemplate, link: ImageLink = unknownLink): Payload {
  const sets = Object.entries(bootSets).map(([set, values]) => [set, { ...link, ...values }] as const);
  return {
    section: "session_template",
    name,
    body: { name, enable_cfs: true, cfs: { configuration }, boot_sets: Object.fromEntries(sets) },
  };
}
