import type { HandTree } from "./hand-layer.ts";
import { planBuild, type PlanContext } from "./plan.ts";
import type { ImageRequest } from "./types.ts";

/** The tree of an image as far as its steps have got, for who looks for why they got no further. */
export async function partialTree(request: ImageRequest, context: PlanContext): Promise<HandTree> {
  const plan = await planBuild(request, context);
  const { epoch, packageSource } = plan.inherited;
  let layers = plan.baseLayers;
  for (const planned of plan.tree) {
    if (planned.kind === "lock") continue;
    const result =
      planned.state === "cached" && planned.key !== undefined ? await context.steps.find(planned.key) : undefined;
    if (result === undefined) break;
    if (result.layer !== undefined) layers = [result.layer, ...layers];
  }
  return { name: request.name, layers, epoch, packageSource };
}
