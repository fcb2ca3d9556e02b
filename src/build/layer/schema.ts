/** Files of others that come with playbooks. */
import { z } from "zod";

const version = z.union([z.string(), z.number()]).transform(String);

const role = z.union([
  z.string(),
  z.looseObject({ name: z.string().optional(), src: z.string().optional(), version: version.optional() }),
]);
const collection = z.union([
  z.string(),
  z.looseObject({ name: z.string(), version: version.optional(), type: z.string().optional() }),
]);

/**
 * requirements.yml of ansible-galaxy: a list of roles (the older form), or lists of roles and of collections.
 * https://docs.ansible.com/ansible/latest/galaxy/user_guide.html
 */
export const requirementsSchema = z.union([
  z.array(role).transform((roles): Requirements => ({ roles, collections: [] })),
  z
    .looseObject({ roles: z.array(role).nullish(), collections: z.array(collection).nullish() })
    .transform((found): Requirements => ({ roles: found.roles ?? [], collections: found.collections ?? [] })),
  z.null().transform((): Requirements => ({ roles: [], collections: [] })),
]);

export interface Requirements {
  readonly roles: readonly z.output<typeof role>[];
  readonly collections: readonly z.output<typeof collection>[];
}

/** MANIFEST.json of an installed collection. */
export const collectionManifestSchema = z.looseObject({
  collection_info: z.looseObject({ namespace: z.string(), name: z.string(), version: z.string() }),
});

/** meta/.galaxy_install_info of an installed role. */
export const roleInstallSchema = z.looseObject({ version: version.nullish() });
