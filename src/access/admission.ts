import { NetkilnError } from "../lib/errors.ts";
import { looksSigned, type AccountTokens } from "./account-tokens.ts";
import type { Role } from "./roles.ts";
import type { TokenStore } from "./store.ts";

/** Who asks, and what for. */
export interface Caller {
  /** `token NAME`, `account NAME`, `local` or `anonymous`. */
  readonly name: string;
  readonly role: Role;
  readonly tenant?: string | undefined;
}

/** Whoever may open the socket. */
export const localCaller: Caller = { name: "local", role: "admin" };
/** Without a token, where that is enough. */
export const anonymousCaller: Caller = { name: "anonymous", role: "reader" };

export interface Admission {
  /** Whose token this is. Throws `unauthorized`, for a token that is missing too. */
  callerOf(authorization: string | undefined): Promise<Caller>;
}

export function openAdmission(tokens: TokenStore, accountTokens: AccountTokens): Admission {
  return {
    callerOf: async (authorization = "") => {
      const [, secret = ""] = /^Bearer (\S+)$/i.exec(authorization) ?? [];
      if (looksSigned(secret)) {
        const { name, role, tenant } = await accountTokens.accountOf(secret);
        return { name: `account ${name}`, role, tenant };
      }
      const token = await tokens.check(secret);
      if (token !== undefined) return { name: `token ${token.name}`, role: token.role, tenant: token.tenant };
      throw new NetkilnError("unauthorized", "this door needs a valid token (Authorization: Bearer ...)", {
        hint: "make one on the server's host: netkiln tokens create NAME",
      });
    },
  };
}
