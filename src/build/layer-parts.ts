import { stepKey } from "./key.ts";
import { squashfsInputs } from "./output/squashfs/image.ts";
import { listingForm } from "./tree/listing.ts";
import type { LayerPartKind } from "./types.ts";

type Inputs = Readonly<Record<string, string>>;

/** What decides each thing that is kept of a layer, beside the layer. `squashfsLevel`: of zstd. */
export function layerPartInputs(squashfsLevel: number): Readonly<Record<LayerPartKind, Inputs>> {
  return { listing: { form: listingForm }, content: squashfsInputs(squashfsLevel) };
}

/** The keys under which builds look for what is kept of a layer; what has another one is of no use any more. */
export function layerPartKeys(layer: string, squashfsLevel: number): ReadonlySet<string> {
  const inputs = Object.entries(layerPartInputs(squashfsLevel));
  return new Set(inputs.map(([kind, of]) => stepKey(kind, of, layer)));
}
