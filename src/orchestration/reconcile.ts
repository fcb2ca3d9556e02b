import { imageOfLink, type BootEntryStore } from "../boot/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import { countOf } from "../lib/text.ts";
import type { Node, NodeStore } from "../node/index.ts";
import type { PowerDriver, Ready } from "../power/index.ts";
import type { BootRecords, EventStore } from "../telemetry/index.ts";
import { decide, tryAgain, type Step } from "./decide.ts";
import { planSession, type FindImage } from "./plan.ts";
import type { SessionStore } from "./store.ts";
import { bootTargetOf, type BootTargetState, type Component, type Session } from "./types.ts";

export interface ReconcilerParts {
  readonly sessions: SessionStore;
  readonly nodes: NodeStore;
  readonly entries: BootEntryStore;
  readonly boots: BootRecords;
  readonly events: EventStore;
  readonly power: PowerDriver;
  readonly findImage: FindImage;
}

/** Nodes whose power is looked at or switched at the same time. */
const concurrency = 32;

/**
 * One step of every session towards what it wants. All that it knows stands in the database, so it may be stopped
 * anywhere and called again.
 */
export async function reconcile(parts: ReconcilerParts): Promise<void> {
  // An unexpected error of one session or node must not keep the others waiting: it is thrown when all had their turn.
  const errors: unknown[] = [];
  const attempt = (work: Promise<void>) => work.catch((error: unknown) => void errors.push(error));
  for (const session of await parts.sessions.listSessions({ status: "pending" })) await attempt(setUp(parts, session));
  await parts.sessions.endHolds();
  const active = await parts.sessions.listComponents({ active: true });
  for (let start = 0; start < active.length; start += concurrency) {
    await Promise.all(active.slice(start, start + concurrency).map((component) => attempt(advance(parts, component))));
  }
  for (const session of await parts.sessions.listSessions({ status: "running" })) {
    await attempt(completeWhenDone(parts, session));
  }
  await attempt(parts.sessions.removeOldSessions());
  if (errors.length > 0) throw errors[0];
}

async function setUp(parts: ReconcilerParts, session: Session): Promise<void> {
  try {
    const template = await parts.sessions.getTemplate(session.template_name);
    if (template === undefined) {
      throw new NetkilnError("not_found", `there is no session template "${session.template_name}"`);
    }
    const targets = await planSession(session, template, parts.nodes, parts.findImage);
    await parts.sessions.setUp(session.name, targets);
    await parts.events.record(`session:${session.name}`, "session.running", { nodes: targets.size });
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    await parts.sessions.complete(session.name, error.message);
    await parts.events.record(`session:${session.name}`, "session.complete", { error: error.message });
  }
}

async function advance(parts: ReconcilerParts, { xname }: Component): Promise<void> {
  // As it is now: with many nodes its turn comes late, and its session may be gone by then.
  const component = await parts.sessions.getComponent(xname);
  if (component?.active !== true) return;
  const node = await parts.nodes.get(component.xname);
  if (node === undefined) return conclude(parts, component, `${component.xname} is no longer in the inventory`);
  const target = bootTargetOf(component);
  if (target?.buildId === "") return identify(parts, component, target);
  let step: Step = { kind: "wait" };
  try {
    const [power, boot] = await Promise.all([parts.power.status(node), parts.boots.current(node.xname)]);
    if (power === "off") await parts.nodes.setState(node.xname, "Off");
    step = decide(component, { power, boot, now: clock.now() });
    await act(parts, component, node, step);
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    await actFailed(parts, component, step, error);
  }
}

/** Finds the image of files that somebody gave by hand; which build a node must report is known only then. */
async function identify(parts: ReconcilerParts, component: Component, target: BootTargetState): Promise<void> {
  const { kernel, initrd } = target;
  const id = imageOfLink(kernel);
  try {
    const image = id === undefined || initrd === "" ? undefined : await parts.findImage(id);
    if (image === undefined || image.id !== id) {
      const what = initrd === "" ? "no initrd" : `the kernel ${kernel}, which is of no image here`;
      return await conclude(parts, component, `${component.xname} is to boot ${what}`);
    }
    return await parts.sessions.identify(component, { imageId: image.id, buildId: image.buildId });
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    return conclude(parts, component, error.message);
  }
}

async function act(parts: ReconcilerParts, component: Component, node: Node, step: Step): Promise<void> {
  const isPower = step.kind === "power_on" || step.kind === "power_off";
  if (isPower && node.locked) return conclude(parts, component, `${node.xname} was locked meanwhile`);
  switch (step.kind) {
    case "wait":
      return;
    case "power_on":
      return switchOn(parts, component, node);
    case "power_off":
      await parts.power.off(node, step.how, stillWanted(parts, component));
      await parts.events.record(`node:${node.xname}`, "power.off", { how: step.how, session: component.session });
      await parts.sessions.recordAction(component, {
        lastAction: step.how === "forced" ? "power_off_forceful" : "power_off_graceful",
      });
      return;
    case "retry":
      await endBoot(parts, (await parts.boots.current(node.xname))?.id, step.because);
      await parts.sessions.recordAction(component, { lastAction: "" });
      return;
    case "fail":
      await endBoot(parts, (await parts.boots.current(node.xname))?.id, step.because);
      return conclude(parts, component, step.because);
    case "succeed":
      if (step.actual !== undefined) await parts.nodes.setState(node.xname, "Ready");
      await parts.sessions.finish(component, { actual: step.actual });
      return;
  }
}

/** The intent first, then boot parameters and power: after a crash in between, all of it is done again. */
async function switchOn(parts: ReconcilerParts, component: Component, node: Node): Promise<void> {
  const desired = bootTargetOf(component);
  if (desired === undefined) return;
  const begun = await beginTry(parts, component, desired);
  if (begun === undefined) return;
  try {
    const token = await writeBootParameters(parts.entries, node.xname, desired);
    await parts.sessions.noteToken(begun, token, desired);
    await parts.power.on(node, stillWanted(parts, begun));
    await parts.boots.record(begun.bootId, "power", "server", { session: begun.session });
    await parts.nodes.setState(node.xname, "On");
    await parts.sessions.recordAction(begun, { lastAction: "power_on" });
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    // With the boot that was begun here: the row may be somebody else's by now.
    await actFailed(parts, begun, { kind: "power_on" }, error);
  }
}

type Begun = Component & { readonly bootId: string };

/** The component with a try written down, which a crash may have left; undefined when the node has other work by now. */
async function beginTry(
  parts: ReconcilerParts,
  component: Component,
  { imageId, buildId }: BootTargetState,
): Promise<Begun | undefined> {
  const { xname, bootId: left } = component;
  const isLeft = component.lastAction === "power_on_pending" && left !== undefined;
  const bootId = isLeft ? left : (await parts.boots.begin(xname, { imageId, expectedBuildId: buildId })).id;
  const attempts = isLeft ? component.attempts : component.attempts + 1;
  const isOurs = isLeft
    ? await parts.sessions.hasWork(component)
    : await parts.sessions.recordAction(component, { lastAction: "power_on_pending", bootId, attempts });
  if (!isOurs) {
    await endBoot(parts, bootId, workLost(xname));
    return undefined;
  }
  const actionTime = isLeft ? component.actionTime : clock.now().toISOString();
  return { ...component, lastAction: "power_on_pending", actionTime, bootId, attempts };
}

function workLost(xname: string): string {
  return `the work on ${xname} was ended or replaced before its power was switched`;
}

/** A driver's turn may come long after the work was looked at. */
function stillWanted({ sessions }: ReconcilerParts, component: Component): Ready {
  return async () => {
    if (!(await sessions.hasWork(component))) throw new NetkilnError("refused", workLost(component.xname));
  };
}

/** Returns their referral token. */
async function writeBootParameters(entries: BootEntryStore, xname: string, desired: BootTargetState): Promise<string> {
  const { kernel, initrd, kernelParameters: params } = desired;
  const known = await entries.get("host", xname);
  if (known?.kernel === kernel && known.initrd === initrd && known.params === params) return known.referralToken;
  return entries.put({ hosts: [xname], macs: [], nids: [] }, { kernel, initrd, params, cloudInit: known?.cloudInit });
}

/** What an error of the power driver means: a spent try, or a shutdown that must be forced when its time comes. */
async function actFailed(parts: ReconcilerParts, component: Component, step: Step, error: NetkilnError): Promise<void> {
  const text = [error.message, ...error.output.slice(-1)].join(": ");
  if (error.code === "refused") return waitForReservation(parts, component, step, text);
  log.warn({ node: component.xname, step: step.kind, error: text }, "step of a session failed");
  if (step.kind === "power_off" && step.how === "graceful") {
    await parts.sessions.recordAction(component, { lastAction: "power_off_graceful" });
    return;
  }
  if (step.kind !== "power_on") return conclude(parts, component, text);
  await endBoot(parts, component.bootId, text);
  if (tryAgain(component, text).kind === "fail") return conclude(parts, component, text);
  await parts.sessions.recordAction(component, { lastAction: "" });
}

/** Somebody else has the node reserved. It is waited for as long as for the power itself, and costs no try. */
async function waitForReservation(
  parts: ReconcilerParts,
  component: Component,
  step: Step,
  text: string,
): Promise<void> {
  const { xname, bootId, actionTime, options } = component;
  const isOn = step.kind === "power_on";
  if (isOn && !(await parts.sessions.hasWork(component))) return endBoot(parts, bootId, workLost(xname));
  const waited = (clock.now().getTime() - Date.parse(actionTime)) / 1000;
  if (waited <= (isOn ? options.max_power_on_wait_time : options.max_power_off_wait_time)) return;
  if (isOn) await endBoot(parts, bootId, text);
  return conclude(parts, component, text);
}

async function endBoot(parts: ReconcilerParts, bootId: string | undefined, message: string): Promise<void> {
  if (bootId !== undefined) await parts.boots.record(bootId, "failed", "server", { message });
}

async function conclude(parts: ReconcilerParts, component: Component, error: string): Promise<void> {
  if (!(await parts.sessions.finish(component, { error }))) return;
  const { session, xname } = component;
  await parts.events.record(session === "" ? `node:${xname}` : `session:${session}`, "component.failed", {
    xname,
    error,
  });
}

/** Errors of this many nodes are spelled out in their session's. */
const shownFailures = 10;

async function completeWhenDone(parts: ReconcilerParts, session: Session): Promise<void> {
  if (await parts.sessions.isUnderWay(session.name)) return;
  const failures = await parts.sessions.failures(session.name);
  const messages = failures.slice(0, shownFailures).map(({ message }) => message);
  const more = failures.length > shownFailures ? ["…"] : [];
  const of = countOf(session.components.split(",").length, "node");
  const error =
    failures.length === 0 ? undefined : `${failures.length} of ${of} failed: ${[...messages, ...more].join("; ")}`;
  await parts.sessions.complete(session.name, error);
  await parts.events.record(`session:${session.name}`, "session.complete", error === undefined ? {} : { error });
}

const periodMs = 1000;

/** Reconciles every second and whenever woken, until the signal; `stopped` resolves after the last step. */
export function startReconciler(
  parts: ReconcilerParts,
  { signal }: { signal: AbortSignal },
): { wake(): void; stopped: Promise<void> } {
  let bell = new AbortController();
  const loop = async () => {
    while (!signal.aborted) {
      bell = new AbortController();
      await reconcile(parts).catch((error: unknown) => log.error({ error }, "reconciling sessions failed"));
      await clock.sleep(periodMs, AbortSignal.any([signal, bell.signal])).catch(() => undefined);
    }
  };
  return { wake: () => bell.abort(), stopped: loop() };
}
