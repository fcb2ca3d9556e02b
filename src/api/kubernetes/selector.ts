import { NetkilnError } from "../../lib/errors.ts";

type Fields = Readonly<Record<string, string | undefined>>;

/** Which objects a request is about. */
export interface Selector {
  matches(fields: Fields): boolean;
  /** What a field has to be, where the selector says so. */
  equal(field: string): string | undefined;
}

interface Requirement {
  readonly field: string;
  /** Without one, whether the field is there at all. */
  readonly value: string | undefined;
  readonly negated: boolean;
}

/**
 * Reads `labelSelector` or `fieldSelector` of a list: requirements with commas, each `NAME=VALUE`, `NAME==VALUE`,
 * `NAME!=VALUE`, `NAME` or `!NAME`. Those of sets (`in`, `notin`) are refused, as is anything else.
 */
export function parseSelector(text: string = ""): Selector {
  const requirements = text === "" ? [] : text.split(",").map(parseRequirement);
  return {
    matches: (fields) =>
      requirements.every(({ field, value, negated }) => {
        const isMet = value === undefined ? fields[field] !== undefined : fields[field] === value;
        return isMet !== negated;
      }),
    equal: (field) => requirements.find((one) => one.field === field && !one.negated)?.value,
  };
}

function parseRequirement(text: string): Requirement {
  const [, not, field, operator, value] = /^\s*(!?)\s*([\w./-]+)\s*(?:(=|==|!=)\s*([\w.:-]*)\s*)?$/.exec(text) ?? [];
  if (field === undefined || (not === "!" && operator !== undefined)) {
    throw new NetkilnError("invalid_input", `unable to parse requirement: ${JSON.stringify(text)}`);
  }
  return { field, value, negated: not === "!" || operator === "!=" };
}
