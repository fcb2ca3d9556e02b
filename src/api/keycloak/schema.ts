import { z } from "zod";
import { grantTypes } from "../../access/index.ts";

/** What is documented of a request for tokens; what is wrong with one is told in the words of OAuth. */
export const tokenRequestSchema = z.object({
  grant_type: z.enum(grantTypes),
  client_id: z.string().describe("or as the user of HTTP Basic authentication"),
  client_secret: z
    .string()
    .optional()
    .describe("of a service account, or as the password of HTTP Basic authentication"),
  username: z.string().optional(),
  password: z.string().optional(),
  refresh_token: z.string().optional(),
});
