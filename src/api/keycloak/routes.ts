import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import {
  grantTypes,
  type AccountTokens,
  type GrantRefusal,
  type GrantRequest,
  type Grants,
} from "../../access/index.ts";
import type { RouteNotes } from "../route-notes.ts";
import { tokenRequestSchema } from "./schema.ts";

export interface KeycloakParts {
  readonly grants: Grants;
  readonly accountTokens: AccountTokens;
  readonly issuer: () => string;
  /** Seconds. */
  readonly tokenLife: { readonly access: number; readonly refresh: number };
}

/** Where CSM has its Keycloak, and in it the realm of its users. */
export const realm = "/keycloak/realms/shasta";
const connect = `${realm}/protocol/openid-connect`;
const form = "application/x-www-form-urlencoded";
const maxFormBytes = 16 << 10;

/** As much of Keycloak as `cray auth login`, sat and scripts with curl need to get tokens; not its pages. */
export function registerKeycloak(app: FastifyInstance, parts: KeycloakParts): void {
  const { grants, accountTokens, issuer, tokenLife } = parts;
  const about = (id: string, summary: string): RouteNotes => ({ open: true, service: "keycloak", id, summary });
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(form, { parseAs: "string" }, (_request, body, done) => done(null, body));
    const outer = scope.errorHandler;
    scope.setErrorHandler(async (error: FastifyError, request, reply) => {
      const { statusCode: status = 500, message: description } = error;
      if ((error.code ?? "").startsWith("FST_ERR_CTP")) {
        return refuse({ status, error: "invalid_request", description }, reply);
      }
      return outer(error, request, reply);
    });
    const config = {
      ...about("token", "Get a token for an account"),
      body: tokenRequestSchema,
      bodyType: form,
    };
    scope.post(`${connect}/token`, { config, bodyLimit: maxFormBytes }, async (request, reply) => {
      // RFC 6749, section 5.1
      reply.header("cache-control", "no-store").header("pragma", "no-cache");
      const asked = formOf(request);
      const granted = "error" in asked ? asked : await grants.grant(asked);
      if ("error" in granted) return refuse(granted, reply);
      const { accessToken, refreshToken } = granted;
      return reply.send({
        access_token: accessToken,
        expires_in: tokenLife.access,
        refresh_expires_in: refreshToken === undefined ? 0 : tokenLife.refresh,
        ...(refreshToken !== undefined && { refresh_token: refreshToken }),
        token_type: "Bearer",
        "not-before-policy": 0,
      });
    });
    const discovery = { config: about("configuration", "What is here (OpenID Connect Discovery)") };
    scope.get(`${realm}/.well-known/openid-configuration`, discovery, async () => ({
      issuer: issuer(),
      token_endpoint: `${issuer()}/protocol/openid-connect/token`,
      jwks_uri: `${issuer()}/protocol/openid-connect/certs`,
      grant_types_supported: grantTypes,
      response_types_supported: [],
      subject_types_supported: ["public"],
      token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
      id_token_signing_alg_values_supported: ["RS256"],
    }));
    const certs = { config: about("certs", "The keys that tokens are signed with (JWKS)") };
    scope.get(`${connect}/certs`, certs, async () => accountTokens.keys());
  });
}

function formOf(request: FastifyRequest): GrantRequest | GrantRefusal {
  const fields = new URLSearchParams(String(request.body ?? ""));
  const basic = basicOf(request.headers.authorization);
  const value = (name: string) => fields.get(name) ?? "";
  const repeated = [...new Set(fields.keys())].find((name) => fields.getAll(name).length > 1);
  if (repeated !== undefined) {
    return { status: 400, error: "invalid_request", description: `duplicated parameter: ${repeated}` };
  }
  const client = value("client_id");
  if (basic !== undefined && client !== "" && client !== basic.client) {
    return { status: 400, error: "invalid_request", description: "client_id is given twice, and not the same" };
  }
  return {
    grantType: value("grant_type"),
    client: basic?.client ?? client,
    secret: basic?.secret || value("client_secret"),
    username: value("username"),
    password: value("password"),
    refreshToken: value("refresh_token"),
    address: request.ip ?? "the socket",
  };
}

/** How oauthlib sends a client's id and secret, also where the secret is empty. */
function basicOf(authorization = ""): { client: string; secret: string } | undefined {
  const [, encoded] = /^Basic (\S+)$/i.exec(authorization) ?? [];
  if (encoded === undefined) return undefined;
  const [client = "", ...secret] = Buffer.from(encoded, "base64").toString().split(":");
  return { client, secret: secret.join(":") };
}

function refuse({ status, error, description, retryAfter }: GrantRefusal, reply: FastifyReply): FastifyReply {
  if (retryAfter !== undefined) reply.header("retry-after", retryAfter);
  return reply.code(status).type("application/json").send({ error, error_description: description });
}
