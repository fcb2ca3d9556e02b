import { NetkilnError } from "../../../lib/errors.ts";

type Header = (name: string) => string | undefined;

/** On whose behalf a request is made; an empty name is nobody's. */
export function tenantOf(header: Header): string | undefined {
  const tenant = header("cray-tenant-name");
  return tenant === "" ? undefined : tenant;
}

/** There are no tenants here that a template, a session or a component could belong to. */
export function refuseTenant(header: Header): void {
  const tenant = tenantOf(header);
  if (tenant !== undefined) throw new NetkilnError("invalid_input", `the tenant ${tenant} does not exist`);
}
