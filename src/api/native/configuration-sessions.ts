import type { FastifyInstance } from "fastify";
import type { ConfigurationSessionStore } from "../../configuration/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { sendLog } from "./log-file.ts";

type Named = { Params: { name: string } };

export interface ConfigurationSessionsParts {
  readonly configurationSessions: ConfigurationSessionStore;
  /** Where the log of a session on live nodes is. */
  readonly sessionLog: (run: string) => string;
  /** The key by which sessions come to nodes, as authorized_keys has it. */
  readonly nodeKey: () => Promise<string>;
}

/** What CFS has no place for: what Ansible said, and the key that nodes have to let in. */
export function registerConfigurationSessions(app: FastifyInstance, parts: ConfigurationSessionsParts): void {
  const { configurationSessions: sessions, sessionLog, nodeKey } = parts;
  app.get<Named>("/apis/netkiln/v1/configuration-sessions/:name/log", async ({ params, query }, reply) => {
    const find = async () => {
      const session = await sessions.find(params.name);
      if (session !== undefined) return session;
      throw new NetkilnError("not_found", `there is no configuration session "${params.name}"`);
    };
    const { run } = await find();
    if (run === undefined) return reply.type("text/plain; charset=utf-8").send("");
    const canGrow = async () => {
      const { status } = await find();
      reply.header("x-session-status", status);
      return status !== "complete";
    };
    return sendLog(sessionLog(run), query, canGrow, reply);
  });
  app.get("/apis/netkiln/v1/node-key", async () => ({ publicKey: await nodeKey() }));
}
