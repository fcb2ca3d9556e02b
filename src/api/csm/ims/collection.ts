import { NetkilnError } from "../../../lib/errors.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { inputOperation, noContent, notThere } from "./input.ts";
import { undeleteSchema } from "./schema.ts";

/** The versions of the API; paths without one are older than both, and mean what those of v2 do. */
export type Version = "v3" | "v2" | "bare";

export function prefixOf(version: Version): string {
  return version === "bare" ? "" : `/${version}`;
}

/** Records that are deleted softly: the same operations for all of them. */
export interface Collection<Record extends { readonly id: string }> {
  /** As the path says it: `public-keys`. */
  readonly plural: string;
  /** As operations and path parameters say it: `public_key`. */
  readonly single: string;
  /** The parameter of a deleted one. */
  readonly deletedParameter: string;
  list(which: "live" | "deleted"): Promise<readonly Record[]>;
  find(id: string, which: "live" | "deleted"): Promise<Record | undefined>;
  print(record: Record): unknown;
  delete(record: Record, by: string): Promise<unknown>;
  restore(record: Record, by: string): Promise<unknown>;
  destroy(record: Record, by: string): Promise<unknown>;
}

/** Reads and deletes what is not deleted. */
export function liveOperations<R extends { readonly id: string }>(kind: Collection<R>, version: Version): Operation[] {
  const { plural, single } = kind;
  const path = `${prefixOf(version)}/${plural}`;
  const one = `${path}/{${single}_id}`;
  const all = `all_${version}_${plural.replaceAll("-", "_")}`;
  return [
    operation({
      ...{ id: `get_${all}`, method: "GET", path },
      run: async () => answer(200, (await kind.list("live")).map(kind.print)),
    }),
    operation({
      ...{ id: `delete_${all}`, method: "DELETE", path },
      run: async ({ principal }) => {
        await each(await kind.list("live"), (record) => kind.delete(record, principal()));
        return noContent;
      },
    }),
    operation({
      ...{ id: `get_${version}_${single}`, method: "GET", path: one },
      run: async ({ params }) => answer(200, kind.print(await required(kind, params, "live"))),
    }),
    operation({
      ...{ id: `delete_${version}_${single}`, method: "DELETE", path: one },
      run: async ({ params, principal }) => {
        await kind.delete(await required(kind, params, "live"), principal());
        return noContent;
      },
    }),
  ];
}

/** Reads what is deleted, brings it back, and ends it for good. */
export function deletedOperations<R extends { readonly id: string }>(kind: Collection<R>): Operation[] {
  const { plural, single, deletedParameter } = kind;
  const path = `/v3/deleted/${plural}`;
  const one = `${path}/{${deletedParameter}}`;
  const all = `all_v3_deleted_${plural.replaceAll("-", "_")}`;
  const id = `v3_deleted_${single}`;
  return [
    operation({
      ...{ id: `get_${all}`, method: "GET", path },
      run: async () => answer(200, (await kind.list("deleted")).map(kind.print)),
    }),
    operation({
      ...{ id: `delete_${all}`, method: "DELETE", path },
      run: async ({ principal }) => {
        await each(await kind.list("deleted"), (record) => kind.destroy(record, principal()));
        return noContent;
      },
    }),
    inputOperation({ id: `patch_${all}`, method: "PATCH", path }, undeleteSchema, async ({ principal }) => {
      await each(await kind.list("deleted"), (record) => kind.restore(record, principal()));
      return noContent;
    }),
    operation({
      ...{ id: `get_${id}`, method: "GET", path: one },
      run: async ({ params }) => answer(200, kind.print(await required(kind, params, "deleted"))),
    }),
    operation({
      ...{ id: `delete_${id}`, method: "DELETE", path: one },
      run: async ({ params, principal }) => {
        await kind.destroy(await required(kind, params, "deleted"), principal());
        return noContent;
      },
    }),
    inputOperation({ id: `patch_${id}`, method: "PATCH", path: one }, undeleteSchema, async ({ params, principal }) => {
      await kind.restore(await required(kind, params, "deleted"), principal());
      return noContent;
    }),
  ];
}

/** The record that the path names; its parameter is the only one. */
async function required<R extends { readonly id: string }>(
  kind: Collection<R>,
  params: Readonly<Record<string, string>>,
  which: "live" | "deleted",
): Promise<R> {
  const record = await kind.find(Object.values(params)[0] ?? "", which);
  if (record === undefined) throw notThere();
  return record;
}

/** Does it to each, and tells what was refused when the others are done. */
async function each<R>(records: readonly R[], act: (record: R) => Promise<unknown>): Promise<void> {
  const refused: string[] = [];
  for (const record of records) {
    await act(record).catch((error: unknown) => {
      if (!(error instanceof NetkilnError) || !["refused", "conflict"].includes(error.code)) throw error;
      refused.push(error.message);
    });
  }
  if (refused.length === 0) return;
  const more = refused.length > 1 ? `; and ${refused.length - 1} more` : "";
  throw new NetkilnError("refused", `all but ${refused.length} were done: ${refused[0]}${more}`);
}
