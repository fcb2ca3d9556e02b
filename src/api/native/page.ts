import { z } from "zod";
import { parseAs } from "../../lib/parse.ts";

export const pageSchema = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  after: z.string().min(1).max(255).optional(),
});

export const deletedSchema = z.object({ deleted: z.enum(["true", "false"]).default("false") });

/** Whether a query asks for what is deleted (`?deleted=true`) instead of what is not. */
export function deletedFilter(query: unknown): boolean {
  return parseAs(deletedSchema, query, "the query").deleted === "true";
}

/** A page of a list on the wire; `next` is what `after` must be for the next one, null at the end. */
export interface PageOf<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** Lists one item more than the page holds, to know whether there is a next one. */
export async function listPage<T>(
  query: unknown,
  list: (page: { limit: number; after: string | undefined }) => Promise<readonly T[]>,
  keyOf: (item: T) => string,
): Promise<PageOf<T>> {
  const { limit, after } = parseAs(pageSchema, query, "the query");
  const found = await list({ limit: limit + 1, after });
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next: found.length > limit && last !== undefined ? keyOf(last) : null };
}
