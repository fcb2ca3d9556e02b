import { Turns } from "../lib/turns.ts";
import type { AccountTokens } from "./account-tokens.ts";
import type { Account, AccountKind, AccountStore } from "./accounts.ts";
import { openThrottle } from "./throttle.ts";

/** What asks for tokens, in the words of OAuth 2 (RFC 6749). */
export interface GrantRequest {
  readonly grantType: string;
  readonly client: string;
  readonly secret: string;
  readonly username: string;
  readonly password: string;
  readonly refreshToken: string;
  /** Of the peer of the connection. */
  readonly address: string;
}

export interface Granted {
  readonly accessToken: string;
  /** Not for services: they have their secret. */
  readonly refreshToken?: string;
}

export interface GrantRefusal {
  readonly status: number;
  /** As RFC 6749 has them. */
  readonly error: string;
  readonly description: string;
  /** Seconds. */
  readonly retryAfter?: number;
}

export interface Grants {
  grant(request: GrantRequest): Promise<Granted | GrantRefusal>;
}

export const grantTypes = ["password", "refresh_token", "client_credentials"] as const;
type GrantType = (typeof grantTypes)[number];

/** What people log in by: it has no secret, as it is on everybody's machine. */
export const publicClient = "shasta";

const perAccount = { attempts: 5, seconds: 60 };
const perAddress = { attempts: 30, seconds: 60 };

const refusals = {
  noGrantType: { status: 400, error: "invalid_request", description: "Missing form parameter: grant_type" },
  otherGrantType: { status: 400, error: "unsupported_grant_type", description: "Unsupported grant_type" },
  otherClient: { status: 401, error: "invalid_client", description: "Invalid client or Invalid client credentials" },
  noUser: { status: 401, error: "invalid_request", description: "Missing parameter: username" },
  noRefreshToken: { status: 400, error: "invalid_request", description: "No refresh token" },
  wrongUser: { status: 401, error: "invalid_grant", description: "Invalid user credentials" },
  wrongRefreshToken: { status: 400, error: "invalid_grant", description: "Invalid refresh token" },
} as const satisfies Record<string, GrantRefusal>;

/** Gives tokens to accounts; wrong guesses are slow, few, and all answered the same. */
export function openGrants(accounts: AccountStore, tokens: AccountTokens): Grants {
  const ofAccounts = openThrottle(perAccount);
  const ofAddresses = openThrottle(perAddress);
  // However many guess at once, they take the memory and the time of one.
  const turns = new Turns();

  const login = async (kind: AccountKind, name: string, password: string, address: string) =>
    turns.take("login", async (): Promise<Account | GrantRefusal | undefined> => {
      const key = `${kind} ${name}`;
      const wait = ofAddresses.attempt(address) || ofAccounts.attempt(key);
      if (wait > 0) return tooMany(wait);
      const account = await accounts.check(kind, name, password);
      if (account !== undefined) {
        ofAccounts.succeeded(key);
        ofAddresses.succeeded(address);
      }
      return account;
    });

  const grants: Record<GrantType, (request: GrantRequest) => Promise<Granted | GrantRefusal>> = {
    password: async ({ client, username, password, address }) => {
      if (client !== publicClient) return refusals.otherClient;
      if (username === "") return refusals.noUser;
      const account = await login("person", username, password, address);
      if (account === undefined) return refusals.wrongUser;
      return "error" in account ? account : forPerson(account);
    },
    refresh_token: async ({ client, refreshToken }) => {
      if (client !== publicClient) return refusals.otherClient;
      if (refreshToken === "") return refusals.noRefreshToken;
      const account = await tokens.accountOfRefresh(refreshToken);
      if (account === undefined) return refusals.wrongRefreshToken;
      return { accessToken: await tokens.issue(account, publicClient), refreshToken };
    },
    client_credentials: async ({ client, secret, address }) => {
      const account = await login("service", client, secret, address);
      if (account === undefined) return refusals.otherClient;
      return "error" in account ? account : { accessToken: await tokens.issue(account, client) };
    },
  };
  const forPerson = async (account: Account): Promise<Granted> => ({
    accessToken: await tokens.issue(account, publicClient),
    refreshToken: await tokens.issueRefresh(account),
  });
  return {
    grant: async (request) => {
      const { grantType } = request;
      if (grantType === "") return refusals.noGrantType;
      return isGrantType(grantType) ? grants[grantType](request) : refusals.otherGrantType;
    },
  };
}

function isGrantType(text: string): text is GrantType {
  return (grantTypes as readonly string[]).includes(text);
}

function tooMany(seconds: number): GrantRefusal {
  return {
    status: 429,
    error: "invalid_grant",
    description: `Too many failed logins; try again in ${seconds} s`,
    retryAfter: seconds,
  };
}
