import { z } from "zod";

/** Query of a list of tags (distribution-spec, "Listing Tags"). */
export const tagsQuerySchema = z.object({
  n: z.coerce.number().int().min(0).max(100_000).optional(),
  last: z.string().max(128).optional(),
});

export const referrersQuerySchema = z.object({ artifactType: z.string().max(255).optional() });
