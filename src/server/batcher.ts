import { batcherStep, type Configuration, type ConfiguredComponent } from "../configuration/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { House } from "./open.ts";

/** Read at once; in between, others get their turn. */
const pageSize = 1000;

/**
 * Starts sessions for components that are pending, as far as it is time. Remembers nothing: everything that it goes by
 * stands in the tables. Returns how many components it had to look at.
 */
export async function runBatcher(house: House): Promise<number> {
  const { configurationOptions, configurationSessions: sessions } = house;
  const options = await configurationOptions.get();
  if (options.batcherDisable) return 0;
  const components = await pendingComponents(house);
  if (components.length === 0) return 0;
  const configurations = new Map<string, Configuration>();
  for (const name of new Set(components.map(({ desiredConfig }) => desiredConfig))) {
    const configuration = await house.configurations.find(name);
    if (configuration !== undefined) configurations.set(name, configuration);
  }
  const now = clock.now();
  const own = await ownSessions(house, options.batcherMaxBackoff);
  const { create, remove } = batcherStep({ components, configurations, sessions: own, options, now });
  for (const name of remove) await sessions.removePending(name);
  for (const request of create) {
    await sessions.create({ ...request, name: `batcher-${clock.uuid()}` }).catch(unlessConfigurationGone);
  }
  return components.length;
}

async function pendingComponents({ configuredComponents }: House): Promise<ConfiguredComponent[]> {
  const found: ConfiguredComponent[] = [];
  for (;;) {
    const after = found.at(-1)?.id;
    const some = await configuredComponents.list({ status: ["pending"], enabled: true, after, limit: pageSize });
    found.push(...some);
    if (some.length < pageSize) return found;
    await clock.sleep(0);
  }
}

/** Those that are under way, and those that ended so lately that they can still hold others back. */
async function ownSessions({ configurationSessions: sessions }: House, maxBackoff: number) {
  const [pending, running, lately] = [
    await sessions.list({ status: "pending" }),
    await sessions.list({ status: "running" }),
    await sessions.list({ status: "complete", maxAge: `${Math.ceil(maxBackoff / 60) + 60}m` }),
  ];
  return [...pending, ...running, ...lately].filter(({ batch }) => batch === true);
}

function unlessConfigurationGone(error: unknown): void {
  if (!(error instanceof NetkilnError) || error.code !== "invalid_input") throw error;
}
