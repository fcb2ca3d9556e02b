import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { clock } from "../../lib/clock.ts";
import { parseAs } from "../../lib/parse.ts";

export const logSchema = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  /** Seconds to wait for more when there is nothing behind the offset. */
  wait: z.coerce.number().min(0).max(60).default(0),
});
const pollMs = 100;

/** Answers with a log from an offset on, in bytes; while more can come, it may be waited for. */
export async function sendLog(
  file: string,
  query: unknown,
  canGrow: () => Promise<boolean>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { offset, wait } = parseAs(logSchema, query, "the query");
  const deadline = clock.now().getTime() + wait * 1000;
  let size = 0;
  for (;;) {
    // In this order: what was written before its writer ended is in the answer that says so.
    const isOpen = await canGrow();
    size = (await stat(file).catch(() => undefined))?.size ?? 0;
    if (size > offset || !isOpen || clock.now().getTime() >= deadline) break;
    await clock.sleep(pollMs);
  }
  reply.type("text/plain; charset=utf-8");
  if (size <= offset) return reply.send("");
  return reply.header("content-length", size - offset).send(createReadStream(file, { start: offset, end: size - 1 }));
}
