/** From a bootprep file to what has to be done, with everything that it names looked up. */
import type { BootprepFile } from "./file.ts";
import { planConfigurations } from "./configurations.ts";
import { ImageNames, planImages } from "./images.ts";
import { Planning } from "./planning.ts";
import type { Plan, PlanOptions, PlanPorts } from "./ports.ts";
import { mistakes } from "./read.ts";
import { planTemplates } from "./templates.ts";

/**
 * Looks up everything that the file names and decides what to do with what exists already. Changes nothing.
 * Throws one `invalid_input` with all mistakes and their places; what a port throws besides passes through.
 */
export async function planBootprep(file: BootprepFile, ports: PlanPorts, options: PlanOptions): Promise<Plan> {
  const planning = new Planning(file, ports, options);
  const names = new ImageNames(planning);
  const configurations = await planConfigurations(planning);
  const images = await planImages(planning, names);
  const templates = await planTemplates(planning, names, images);
  if (planning.problems.length > 0) throw mistakes(file.file, planning.problems);
  return { configurations, images, templates, warnings: file.warnings };
}
