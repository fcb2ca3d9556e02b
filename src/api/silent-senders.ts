import type { FastifyInstance } from "fastify";
import { answerLate } from "./problem.ts";

/**
 * Ends requests of whose body nothing has come for so long, or for up to twice as long. There is no limit for all of a
 * body, as uploads are large, and none for what the server itself takes to read it or to answer.
 */
export function cutSilentSenders(app: FastifyInstance, afterMs: number): void {
  app.addHook("onRequest", async ({ raw }) => {
    const { headers, socket } = raw;
    if (headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0) return;
    /** How much had come when all of it was read; undefined while some waits to be read, which is no silence. */
    let seen: number | undefined = socket.bytesRead;
    const watch = setInterval(() => {
      const now = raw.readableLength === 0 ? socket.bytesRead : undefined;
      // A request that app.inject plays is never complete, and has no connection.
      if (raw.complete === false && now !== undefined && now === seen) answerLate(socket);
      seen = now;
    }, afterMs).unref();
    raw.once("close", () => clearInterval(watch));
  });
}
