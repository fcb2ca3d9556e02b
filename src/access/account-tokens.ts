import { errors, jwtVerify, SignJWT, type JWTPayload } from "jose";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Account, AccountStore } from "./accounts.ts";
import { algorithm, openTokenKey, type TokenKey } from "./token-key.ts";

/** For bearers, as clients know it from CSM. */
export const tokenClient = "shasta";
/** What a token that only gets new tokens is for. */
const refreshUse = "netkiln-refresh";

export interface AccountTokenRules {
  /** Folder of the keys. */
  readonly folder: string;
  /** The URL of whoever issues: a token of any other issuer is refused. */
  readonly issuer: () => string;
  /** Seconds that a token lets its bearer in. */
  readonly accessSeconds: number;
  /** Seconds in which a person need not give the password again. */
  readonly refreshSeconds: number;
}

/** Tokens of accounts: signed (JWT, RFC 7519), and good for as long as the account is as it was. */
export interface AccountTokens {
  issue(account: Account, client: string): Promise<string>;
  issueRefresh(account: Account): Promise<string>;
  /** The account of a bearer. Throws `unauthorized`, and says why where that helps. */
  accountOf(token: string): Promise<Account>;
  /** The account that may have a new token, if it may. */
  accountOfRefresh(token: string): Promise<Account | undefined>;
  /** The public keys, for whoever wants to check tokens as well (RFC 7517). */
  keys(): Promise<{ readonly keys: readonly object[] }>;
}

export function openAccountTokens(accounts: AccountStore, rules: AccountTokenRules): AccountTokens {
  let opened: Promise<TokenKey> | undefined;
  const key = async () => {
    opened ??= openTokenKey(rules.folder).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const sign = async (account: Account, use: string, seconds: number, claims: JWTPayload) => {
    const { privateKey, id } = await key();
    const now = Math.floor(clock.now().getTime() / 1000);
    return new SignJWT({ ...claims, generation: account.generation })
      .setProtectedHeader({ alg: algorithm, typ: "JWT", kid: id })
      .setIssuer(rules.issuer())
      .setSubject(account.id)
      .setAudience(use)
      .setIssuedAt(now)
      .setExpirationTime(now + seconds)
      .setJti(clock.uuid())
      .sign(privateKey);
  };
  const check = async (token: string, use: string): Promise<Account | undefined> => {
    const { publicKey } = await key();
    const { payload } = await jwtVerify(token, publicKey, {
      ...{ algorithms: [algorithm], issuer: rules.issuer(), audience: use, currentDate: clock.now() },
      requiredClaims: ["exp", "sub", "generation"],
    });
    const account = await accounts.findById(payload.sub ?? "");
    return account?.generation === payload["generation"] ? account : undefined;
  };
  return {
    issue: async (account, client) =>
      sign(account, tokenClient, rules.accessSeconds, {
        typ: "Bearer",
        azp: client,
        preferred_username: account.name,
      }),
    issueRefresh: async (account) => sign(account, refreshUse, rules.refreshSeconds, { typ: "Refresh" }),
    accountOf: async (token) => {
      const account = await check(token, tokenClient).catch(refuse);
      if (account !== undefined) return account;
      throw new NetkilnError("unauthorized", "the token has ended: its account or password was changed", {
        hint: "log in again",
      });
    },
    accountOfRefresh: async (token) => check(token, refreshUse).catch(ofJose),
    keys: async () => ({ keys: [(await key()).jwk] }),
  };
}

/** Three parts in base64url, as only signed tokens have them. */
export function looksSigned(token: string): boolean {
  return /^[\w-]+\.[\w-]*\.[\w-]*$/.test(token);
}

function refuse(error: unknown): never {
  if (error instanceof errors.JWTExpired) {
    throw new NetkilnError("unauthorized", "the token has expired", { hint: "log in again" });
  }
  ofJose(error);
  throw new NetkilnError("unauthorized", "the token is none of this server: it is malformed, or of another issuer", {
    hint: "log in to this server, or make a token on its host: netkiln tokens create NAME",
  });
}

/** What is wrong with a token; anything else goes on as it is. */
function ofJose(error: unknown): undefined {
  if (!(error instanceof errors.JOSEError)) throw error;
}
