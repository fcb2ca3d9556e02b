/** One table of members for both versions of an object: v3 writes them in snake case, v2 mostly in camel case. */
import { z } from "zod";

export type Version = "v2" | "v3";

/** A member of an object; its own name in v3 is the key that it stands under in its table. */
export interface Member<T = unknown> {
  readonly read: (version: Version) => z.ZodType<T>;
  readonly print: (value: T, version: Version) => unknown;
  /** In v2, when it is not the name of v3 in camel case; null when v2 has no such member. */
  readonly v2?: string | null;
  /** It may not be left out. */
  readonly required?: boolean | Version;
  /** Requests may not set it; "v3" when those of v2 may. */
  readonly readOnly?: boolean | "v3";
}

// oxlint-disable-next-line typescript/no-explicit-any -- a table holds members of every type
export type Members = Readonly<Record<string, Member<any>>>;

/** An object of a table, by the names of v3. */
export type Value<M extends Members> = { readonly [K in keyof M]?: M[K] extends Member<infer T> ? T : never };

type Rules = Pick<Member, "v2" | "required" | "readOnly">;

export function member<T>(schema: z.ZodType<T>, rules: Rules = {}): Member<T> {
  return { read: () => schema, print: (value) => value, ...rules };
}

export function object<M extends Members>(
  members: M,
  rules: Rules & { readonly open?: boolean } = {},
): Member<Value<M>> {
  const { open = false, ...rest } = rules;
  return {
    read: (version) => readerOf(members, version, { open }),
    print: (value, version) => print(members, value, version),
    ...rest,
  };
}

export function list<M extends Members>(
  members: M,
  rules: Rules & { readonly open?: boolean } = {},
): Member<readonly Value<M>[]> {
  const { open = false, ...rest } = rules;
  return {
    read: (version) => z.array(readerOf(members, version, { open })),
    print: (values, version) => values.map((value) => print(members, value, version)),
    ...rest,
  };
}

export function nullable<T>(one: Member<T>): Member<T | null> {
  return {
    ...one,
    read: (version) => one.read(version).nullable(),
    print: (value, version) => (value === null ? null : one.print(value, version)),
  };
}

/** What a request may hold, in the words of one version; `open`: also what the table does not know, which is let go. */
export function readerOf<M extends Members>(
  members: M,
  version: Version,
  { open = false }: { open?: boolean } = {},
): z.ZodType<Value<M>> {
  const shape: Record<string, z.ZodType> = {};
  const names = new Map<string, string>();
  for (const [key, one] of Object.entries(members)) {
    const name = nameOf(key, one, version);
    if (name === undefined) continue;
    const isReadOnly = one.readOnly === true || one.readOnly === version;
    names.set(name, key);
    shape[name] = isReadOnly
      ? z.undefined("Property is read-only").optional()
      : one.required === true || one.required === version
        ? one.read(version)
        : one.read(version).optional();
  }
  const known = open ? z.object(shape) : z.strictObject(shape);
  return known.transform(
    (given) =>
      Object.fromEntries(
        Object.entries(given)
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => [names.get(name), value]),
      ) as Value<M>,
  );
}

/** An object in the words of one version. */
export function print<M extends Members>(members: M, value: Value<M>, version: Version): Record<string, unknown> {
  const printed: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(members)) {
    const name = nameOf(key, one, version);
    const given: unknown = value[key];
    if (name !== undefined && given !== undefined) printed[name] = one.print(given, version);
  }
  return printed;
}

function nameOf(key: string, { v2 }: Member, version: Version): string | undefined {
  if (version === "v3") return key;
  return v2 === null ? undefined : (v2 ?? key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()));
}
