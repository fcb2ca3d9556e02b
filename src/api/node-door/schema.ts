import { z } from "zod";
import type { ScriptAsk, ScriptPath } from "../../boot/index.ts";

/** What is empty was not given. */
function given<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
}

/**
 * What a node asks for its script with; retry and arch come from our own links. `ts`, by when HSM's data have to be
 * new, is let go: what is known is never older than the request.
 */
export const scriptQuerySchema = z
  .object({
    mac: given(z.string().max(64)),
    name: given(z.string().max(64)),
    nid: given(z.coerce.number().int().min(0).max(999_999_999)),
    arch: given(z.string().regex(/^[\w.-]{1,32}$/, "is no architecture")),
    retry: z.coerce.number().int().min(0).max(1_000_000).catch(0).default(0),
    json: z.coerce.number().catch(0).default(0),
  })
  .refine(
    ({ mac, name, nid }) => mac !== undefined || name !== undefined || nid !== undefined,
    "needs mac=, name= or nid=",
  );

export function scriptAskOf(query: z.output<typeof scriptQuerySchema>, path: ScriptPath): ScriptAsk {
  const { mac, name, nid, arch } = query;
  return { asked: { mac, name, nid, arch }, path };
}

/** What node/bin/report and the initrd's module send; more may come from a newer node and is let go. */
export const reportSchema = z.object({
  phase: z.enum(["root", "userspace", "ready", "failed"]),
  /** Build id of the image, as /etc/netkiln/image-release says it. */
  build: z.string().max(128).optional(),
  /** `systemctl is-system-running`. */
  state: z.string().max(64).optional(),
  /** Names of units, with spaces. */
  failed: z.string().max(2048).optional(),
  /** Seconds since the kernel began. */
  uptime: z.number().min(0).optional(),
  detail: z.string().max(2048).optional(),
});
export type Report = z.output<typeof reportSchema>;
