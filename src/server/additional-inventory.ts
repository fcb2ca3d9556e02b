import { pinConfiguration, type Configuration } from "../configuration/index.ts";
import type { House } from "./open.ts";

/** The inventory of the options, as it is now; a configuration with one of its own is not given it. */
export async function inventoryForAll(house: House): Promise<Configuration["additionalInventory"]> {
  const { additionalInventoryUrl: url, additionalInventorySource: source } = await house.configurationOptions.get();
  if (url === "" && source === "") return undefined;
  const place = url === "" ? { source } : { url };
  return (await pinConfiguration({ layers: [], additionalInventory: place }, house)).additionalInventory;
}
