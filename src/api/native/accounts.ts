import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { accountKinds, publicClient, type Account, type AccountStore, type TenantStore } from "../../access/index.ts";
import { clock } from "../../lib/clock.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { assertTenantExists, nameSchema, roleSchema, tenantSchema } from "./access-schema.ts";
import { listPage, pageSchema } from "./page.ts";

export interface AccountsParts {
  readonly accounts: AccountStore;
  readonly tenants: TenantStore;
}

const passwordSchema = z.string().min(12, "must have 12 characters at least").max(1024);
const createSchema = z.strictObject({
  name: nameSchema.refine((name) => name !== publicClient, `${publicClient} is the client that all people log in by`),
  kind: z.enum(accountKinds).default("person"),
  role: roleSchema.default("reader"),
  tenant: tenantSchema,
  /** A service without one gets one made. */
  password: passwordSchema.optional(),
});
const changedRoleSchema = z.strictObject({ role: roleSchema });
const changeSchema = z.strictObject({ password: passwordSchema.optional() });

type Named = { Params: { name: string } };

/** Accounts, by which people and services get tokens. A secret that is made is shown once. */
export function registerAccounts(app: FastifyInstance, { accounts, tenants }: AccountsParts): void {
  const base = "/apis/netkiln/v1/accounts";
  const missing = (name: string) => new NetkilnError("not_found", `there is no account "${name}"`);
  const find = async (name: string): Promise<Account> => {
    const account = await accounts.find(name);
    if (account === undefined) throw missing(name);
    return account;
  };

  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => accounts.list(page),
      ({ name }) => name,
    ),
  );
  app.post(base, { config: { body: createSchema } }, async ({ body }, reply) => {
    const { password: given, ...wanted } = parseAs(createSchema, body, "the account");
    await assertTenantExists(tenants, wanted.tenant);
    const password = given ?? madeSecret(wanted);
    const account = await accounts.create({ ...wanted, password });
    return reply.code(201).send({ ...account, ...(given === undefined && { secret: password }) });
  });
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));
  app.put<Named>(`${base}/:name/password`, { config: { body: changeSchema } }, async ({ params, body }, reply) => {
    const { password: given } = parseAs(changeSchema, body, "the password");
    const account = await find(params.name);
    const password = given ?? madeSecret(account);
    if (!(await accounts.setPassword(account.name, password))) throw missing(account.name);
    return reply.send(given === undefined ? { secret: password } : {});
  });
  app.put<Named>(`${base}/:name/role`, { config: { body: changedRoleSchema } }, async ({ params, body }) => {
    const { role } = parseAs(changedRoleSchema, body, "the role");
    const account = await accounts.setRole(params.name, role);
    if (account === undefined) throw missing(params.name);
    return account;
  });
  app.delete<Named>(`${base}/:name`, async ({ params }, reply) => {
    if (await accounts.remove(params.name)) return reply.code(204).send();
    throw missing(params.name);
  });
}

/** 256 random bits. */
function madeSecret({ kind }: Pick<Account, "kind">): string {
  if (kind === "service") return `nks_${clock.randomHex(32)}`;
  throw new NetkilnError("invalid_input", "a person needs a password");
}
