import { z } from "zod";
import { roles, type TenantStore } from "../../access/index.ts";
import { NetkilnError } from "../../lib/errors.ts";

/** Of tokens, accounts and tenants. */
export const nameSchema = z.string().regex(/^[A-Za-z0-9][\w.-]{0,62}$/, "must hold only letters, digits and . _ -");
export const roleSchema = z.enum(roles);
export const tenantSchema = z.string().min(1).optional();

export async function assertTenantExists(tenants: TenantStore, name: string | undefined): Promise<void> {
  if (name === undefined || (await tenants.has(name))) return;
  throw new NetkilnError("invalid_input", `there is no tenant "${name}"`, { hint: `netkiln tenants create ${name}` });
}
