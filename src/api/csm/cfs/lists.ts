/** Lists: v3 has pages, v2 everything at once as long as it fits into one page. */
import { NetkilnError } from "../../../lib/errors.ts";

export interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
  /** What asks for the next page, with the filters of this one; null when this is the last. */
  next(idOf: (last: T) => string, filters: Readonly<Record<string, unknown>>): Record<string, unknown> | null;
}

export async function pageOf<T>(
  asked: { readonly limit?: number | undefined; readonly after_id?: string | undefined },
  defaultPageSize: number,
  read: (limit: number, after: string | undefined) => Promise<readonly T[]>,
): Promise<Page<T>> {
  const limit = asked.limit ?? defaultPageSize;
  const found = await read(limit + 1, asked.after_id);
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const hasMore = found.length > limit;
  return {
    items,
    hasMore,
    next: (idOf, filters) => {
      if (!hasMore || last === undefined) return null;
      const given = Object.entries(filters).filter(([, value]) => value !== undefined);
      return { ...Object.fromEntries(given), limit, after_id: idOf(last) };
    },
  };
}

/** The whole list, for v2. */
export function bareList<T>({ items, hasMore }: Page<T>): readonly T[] {
  if (!hasMore) return items;
  throw new NetkilnError(
    "invalid_input",
    "The response size is too large: it exceeds the default_page_size.  Use the v3 API to page through the results.",
  );
}
