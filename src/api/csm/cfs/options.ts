import type { ConfigurationOptions, ConfigurationOptionStore } from "../../../configuration/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { print, readerOf, type Value, type Version } from "./members.ts";
import { optionMembers } from "./schema.ts";

type WireOptions = Value<typeof optionMembers>;

export function optionOperations(options: ConfigurationOptionStore, version: Version): Operation[] {
  const path = `/${version}/options`;
  const shown = (all: ConfigurationOptions) => print(optionMembers, toWire(all), version);
  return [
    operation({
      id: `get_options_${version}`,
      method: "GET",
      path,
      run: async () => answer(200, shown(await options.get())),
    }),
    operation({
      id: `patch_options_${version}`,
      method: "PATCH",
      path,
      body: readerOf(optionMembers, version),
      run: async ({ body }) => answer(200, shown(await options.set(fromWire(body)))),
    }),
  ];
}

/** Options have the same names inside, in camel case. */
const names = Object.keys(optionMembers).map((name) => [
  name,
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
]) as [keyof typeof optionMembers, keyof ConfigurationOptions][];

function toWire(options: ConfigurationOptions): WireOptions {
  return Object.fromEntries(names.map(([name, inside]) => [name, options[inside]]));
}

function fromWire(given: WireOptions): Partial<ConfigurationOptions> {
  return Object.fromEntries(
    names.filter(([name]) => given[name] !== undefined).map(([name, inside]) => [inside, given[name]]),
  );
}
