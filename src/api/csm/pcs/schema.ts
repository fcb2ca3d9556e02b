import { z } from "zod";
import { powerOperations } from "../../../power/index.ts";
import { xname } from "../hsm/schema.ts";

/** In any case; `ochami` offers `reinit` for `init` and sends it so. */
const operation = z.string().transform((text, context) => {
  const name = text.toLowerCase() === "reinit" ? "init" : text.toLowerCase();
  const found = powerOperations.find((word) => word.toLowerCase() === name);
  if (found !== undefined) return found;
  const words = powerOperations.map((word) => word.toLowerCase()).join(", ");
  context.addIssue({ code: "custom", message: `invalid Operation type ${text}: one of ${words}` });
  return z.NEVER;
});

/** Go's clients send what is not set as null. */
function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

export const transitionSchema = z.object({
  operation,
  taskDeadlineMinutes: optional(z.int().min(-1).max(525_600)),
  location: optional(
    z.array(
      z.object({
        xname,
        deputyKey: optional(z.string()).transform((key) => (key === "" ? undefined : key)),
      }),
    ),
  ),
});

/** In any case; an empty one is none. */
function filter<const Word extends string>(words: readonly Word[]) {
  const lower = (value: unknown) => (typeof value === "string" ? value.toLowerCase() : value);
  return z.preprocess(
    (value) => (value === "" || value === null ? undefined : lower(value)),
    z.enum(words as readonly [Word, ...Word[]]).optional(),
  );
}

const filters = {
  powerStateFilter: filter(["on", "off", "undefined"]),
  managementStateFilter: filter(["available", "unavailable"]),
};

export const statusQuerySchema = z.object({
  xname: z.preprocess(
    (value) => {
      const names = typeof value === "string" ? [value] : value;
      return Array.isArray(names) ? names.filter((name) => name !== "") : names;
    },
    optional(z.array(xname)),
  ),
  ...filters,
});

export const statusBodySchema = z.strictObject({ xname: optional(z.array(xname)), ...filters });

export const capSnapshotSchema = z.object({ xnames: optional(z.array(xname)) });

export const capPatchSchema = z.object({
  components: optional(
    z.array(z.object({ xname, controls: optional(z.array(z.object({ name: z.string(), value: z.int() }))) })),
  ),
});
