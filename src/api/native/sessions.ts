import type { FastifyInstance } from "fastify";
import { NetkilnError } from "../../lib/errors.ts";
import { parseSession, type Session, type SessionStore } from "../../orchestration/index.ts";
import { listPage, pageSchema } from "./page.ts";

export interface SessionsParts {
  readonly sessions: SessionStore;
  /** Called when a session was made, so that it begins at once. */
  readonly wake: () => void;
}

type Named = { Params: { name: string } };

export function registerSessions(app: FastifyInstance, { sessions, wake }: SessionsParts): void {
  const base = "/apis/netkiln/v1/sessions";
  const find = async (name: string): Promise<Session> => {
    const session = await sessions.getSession(name);
    if (session !== undefined) return session;
    throw new NetkilnError("not_found", `there is no session "${name}"`);
  };

  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => sessions.listSessions(page),
      ({ name }) => name,
    ),
  );
  app.post(base, async ({ body }, reply) => {
    const session = await sessions.createSession(parseSession(body));
    wake();
    return reply.code(201).send(session);
  });
  app.get<Named>(`${base}/:name`, async ({ params }) => {
    const session = await find(params.name);
    return { ...session, failures: await sessions.failures(session.name) };
  });
  app.delete<Named>(`${base}/:name`, async ({ params }, reply) => {
    const { name } = await find(params.name);
    await sessions.removeSession(name);
    return reply.code(204).send();
  });
  app.get<Named>(`${base}/:name/components`, { config: { query: pageSchema } }, async ({ params, query }) => {
    const { name } = await find(params.name);
    return listPage(
      query,
      (wanted) => sessions.listComponents({ ...wanted, session: name }),
      ({ xname }) => xname,
    );
  });
}
