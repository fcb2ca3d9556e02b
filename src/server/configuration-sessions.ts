import { startBuild } from "../build/index.ts";
import {
  advanceImageSession,
  limitLayers,
  resultName,
  type ConfigurationSession,
  type ImageSessionPorts,
} from "../configuration/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import { inventoryForAll } from "./additional-inventory.ts";
import { runBatcher } from "./batcher.ts";
import { queueLiveSessions } from "./live-sessions.ts";
import type { House } from "./open.ts";

/** What a session of images does with the other rooms. */
function imageSessionPorts(house: House): ImageSessionPorts {
  return {
    sessions: house.configurationSessions,
    makeJob: () => `cfs-${clock.uuid()}`,
    startImage: async (wanted, session) => {
      const image = await house.images.findImage(wanted.imageId);
      if (image?.id !== wanted.imageId) {
        throw new NetkilnError("not_found", `there is no image with the id ${wanted.imageId}`);
      }
      const configuration = await house.configurations.find(session.configuration);
      if (configuration === undefined) {
        throw new NetkilnError("not_found", `there is no configuration "${session.configuration}"`);
      }
      const inventory = configuration.additionalInventory ?? (await inventoryForAll(house));
      const request = {
        name: resultName(wanted, session, image.name),
        base: { kind: "image", image } as const,
        groups: wanted.groups,
        configuration: {
          name: configuration.name,
          layers: limitLayers(configuration.layers, session.configurationLimit),
          ...(inventory !== undefined && { additionalInventory: inventory }),
        },
        ansible: { ...passthroughOf(session) },
      };
      const started = await startBuild(request, house);
      return started.kind === "image"
        ? { kind: "image", image: started.image.id }
        : { kind: "build", build: started.build.id };
    },
    outcomeOf: async (id) => {
      const build = await house.builds.find(id);
      if (build === undefined) return { kind: "failed", error: `the build ${id} is gone` };
      if (build.error !== undefined) return { kind: "failed", error: build.error.message };
      return build.imageId === undefined ? { kind: "running" } : { kind: "image", image: build.imageId };
    },
  };
}

function passthroughOf({ ansible }: ConfigurationSession): { passthrough?: string } {
  const words = [
    ...(ansible.passthrough === undefined || ansible.passthrough === "" ? [] : [ansible.passthrough]),
    ...(ansible.limit === undefined || ansible.limit === "" ? [] : [`--limit=${quoted(ansible.limit)}`]),
    ...(ansible.verbosity > 0 ? [`-${"v".repeat(ansible.verbosity)}`] : []),
  ];
  return words.length === 0 ? {} : { passthrough: words.join(" ") };
}

/** One word, for who splits words as a shell does. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Takes every step of every session of images that can be taken now. */
export async function advanceConfigurationSessions(house: House): Promise<void> {
  const ports = imageSessionPorts(house);
  for (const status of ["pending", "running"] as const) {
    for (const session of await house.configurationSessions.list({ status, definition: "image" })) {
      await advanceImageSession(session, ports).catch((error: unknown) => {
        // It was removed while it was looked at.
        if (error instanceof NetkilnError && error.code === "not_found") return;
        log.error({ session: session.name, error }, "configuration session cannot go on");
      });
    }
  }
}

/** Complete sessions are kept as long as the option says. */
export async function removeOldSessions(house: House): Promise<void> {
  const { sessionTtl } = await house.configurationOptions.get();
  if (sessionTtl !== "") await house.configurationSessions.removeWhere({ status: "complete", minAge: sessionTtl });
}

const namesAtOnce = 1000;

/** Every node of the inventory is something that can be configured. */
export async function addNodesAsComponents(house: House): Promise<void> {
  let after: string | undefined;
  for (;;) {
    const names = await house.nodes.names({ after, limit: namesAtOnce });
    await house.configuredComponents.add(names);
    if (names.length < namesAtOnce) return;
    after = names.at(-1);
  }
}

const sessionPeriodMs = 500;
const removalPeriodMs = 60_000;
/** With more components than these, looking at them takes time itself. */
const fewComponents = 1000;

/** Carries sessions on, starts those that components need, removes old ones and follows the inventory until `signal`. */
export async function carryConfigurationOn(house: House, signal: AbortSignal): Promise<void> {
  let pending = 0;
  const batch = async () => {
    pending = await runBatcher(house);
  };
  const again = async (what: string, work: (house: House) => Promise<void>, period: () => Promise<number>) => {
    while (!signal.aborted) {
      await work(house).catch((error: unknown) => log.error({ error }, `${what} failed`));
      await clock.sleep(await period(), signal).catch(() => undefined);
    }
  };
  await Promise.all([
    again("carrying configuration sessions on", advanceConfigurationSessions, async () => sessionPeriodMs),
    again("queueing configuration sessions", queueLiveSessions, async () => sessionPeriodMs),
    again("batching components", batch, async () => {
      if (pending <= fewComponents) return sessionPeriodMs;
      return (await house.configurationOptions.get()).batcherCheckInterval * 1000;
    }),
    again("removing old configuration sessions", removeOldSessions, async () => removalPeriodMs),
    again("following the inventory", addNodesAsComponents, async () => {
      return (await house.configurationOptions.get()).hardwareSyncInterval * 1000;
    }),
  ]);
}
