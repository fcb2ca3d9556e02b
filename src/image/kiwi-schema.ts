import { z } from "zod";

/** `.ims_recipe_template.yaml` of an IMS recipe: which of its files are Jinja2 templates. */
export const templateListSchema = z.object({
  template_files: z.array(z.string().min(1)).default([]),
});
