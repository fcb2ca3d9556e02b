/** What the tree says about one property of a resource. A thrown error means that it could not be found out. */
export type Fact =
  | {
      readonly state: "value";
      readonly value: unknown;
      /** Worked out from configuration; only a booted node can confirm it. */
      readonly predicted?: true;
      /** What results show in place of the value. */
      readonly shown?: string;
      /** How the value came about. */
      readonly note?: string;
    }
  /** There is no such value, whatever is expected of it: the check fails. */
  | { readonly state: "absent"; readonly message: string; readonly predicted?: true }
  /** Only a booted node can tell. */
  | { readonly state: "deferred"; readonly message: string };

export function value(found: unknown, note?: string): Fact {
  return { state: "value", value: found, ...(note !== undefined && { note }) };
}

export function absent(message: string): Fact {
  return { state: "absent", message };
}

/** Answers the properties of one resource, by the names they have in the checks. */
export type Properties<Name extends string> = Readonly<Record<Name, () => Promise<Fact>>>;
