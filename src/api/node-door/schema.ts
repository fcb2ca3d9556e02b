import { z } from "zod";

/** What a node asks for its script with; retry and arch come from our own links. */
export const scriptQuerySchema = z
  .object({
    mac: z.string().max(64).optional(),
    name: z.string().max(64).optional(),
    nid: z.coerce.number().int().min(0).max(999_999_999).optional(),
    retry: z.coerce.number().int().min(0).max(1_000_000).catch(0).default(0),
  })
  .refine(
    ({ mac, name, nid }) => mac !== undefined || name !== undefined || nid !== undefined,
    "needs mac=, name= or nid=",
  );

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
