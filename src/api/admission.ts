import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import {
  anonymousCaller,
  isOpenRead,
  leastRole,
  localCaller,
  mayAct,
  type Admission,
  type Caller,
  type TenantStore,
} from "../access/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { setCaller, tenantOf } from "./principal.ts";
import { sendProblem } from "./problem.ts";

export interface AdmissionParts {
  readonly admission: Admission;
  readonly tenants: TenantStore;
  /** Whether what OpenCHAMI's clients read without a token is given without one. */
  readonly openReads: boolean;
}

/** Lets in whoever has a token that may do what is asked; on the socket, everybody who can open it. */
export function admitCallers(
  app: FastifyInstance,
  parts: AdmissionParts,
  { requireToken }: { requireToken: boolean },
): void {
  app.addHook("onRequest", async (request, reply) => {
    const { open, login } = request.routeOptions.config ?? {};
    if (open === true || login !== undefined) return undefined;
    try {
      const caller = requireToken ? await identify(request, reply, parts) : localCaller;
      setCaller(request, caller);
      assertRole(request, reply, caller);
      await assertTenant(request, caller, parts.tenants);
      return undefined;
    } catch (error) {
      // Here and not by the service, which may have another status for what is refused.
      if (error instanceof NetkilnError) return (request.routeOptions.config?.refuse ?? sendProblem)(error, reply);
      throw error;
    }
  });
}

const challenge = 'Bearer realm="netkiln"';

async function identify(request: FastifyRequest, reply: FastifyReply, parts: AdmissionParts): Promise<Caller> {
  const { authorization } = request.headers;
  const { url = "" } = request.routeOptions;
  if (authorization === undefined && parts.openReads && isOpenRead(request.method, url)) return anonymousCaller;
  try {
    return await parts.admission.callerOf(authorization);
  } catch (error) {
    // RFC 6750, section 3
    const more = authorization === undefined ? "" : ', error="invalid_token"';
    reply.header("www-authenticate", challenge + more);
    throw error;
  }
}

function assertRole(request: FastifyRequest, reply: FastifyReply, { name, role }: Caller): void {
  const { url = "" } = request.routeOptions;
  const least = leastRole(request.method, url);
  if (mayAct(role, least)) return;
  reply.header("www-authenticate", `${challenge}, error="insufficient_scope"`);
  throw new NetkilnError("refused", `${name} has the role ${role}, and this needs the role ${least}`);
}

/** A tenant is told no to where it would see what is not its own. */
async function assertTenant(request: FastifyRequest, caller: Caller, tenants: TenantStore): Promise<void> {
  const tenant = tenantOf(request);
  if (tenant === undefined) return;
  const named = request.headers["cray-tenant-name"] ?? "";
  if (named !== "" && named !== tenant) {
    throw new NetkilnError("refused", `${caller.name} belongs to the tenant "${tenant}" and acts for no other one`);
  }
  if (!(await tenants.has(tenant))) {
    throw new NetkilnError("invalid_input", `there is no tenant "${tenant}"`, {
      hint: "netkiln tenants list shows what there is",
    });
  }
  if (request.routeOptions.config?.tenants !== true) {
    throw new NetkilnError("refused", "this part of the API does not keep tenants apart, so no tenant may use it", {
      hint: caller.tenant === undefined ? "leave the header Cray-Tenant-Name out" : undefined,
    });
  }
}
