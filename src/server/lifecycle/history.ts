import type { HistoryKind } from "../../artifact/index.ts";
import { clock } from "../../lib/clock.ts";
import { endBoots, endEvents } from "../../telemetry/index.ts";
import type { House } from "../open.ts";

/** Ends what is old of boots, of tokens of boot parameters and accesses to them, and of events; or only counts it. */
export async function endHistory(
  { db, accesses, sessions, entries, retention }: House,
  { carryOut, signal }: { readonly carryOut: boolean; readonly signal?: AbortSignal },
): Promise<Record<HistoryKind, number>> {
  const daysAgo = (days: number) => new Date(clock.now().getTime() - days * 86_400_000);
  const before = daysAgo(retention.bootDays);
  const seen = (await sessions.listComponents()).map(({ xname, actual }) => [xname, actual?.bootId ?? ""] as const);
  const kept = [...new Set((await entries.list()).map(({ referralToken }) => referralToken))];
  return {
    boot: await endBoots(db, { before, carryOut, signal, keepLast: retention.keepBoots, kept: new Map(seen) }),
    "boot token": await sessions.endTokens(before, { kept, carryOut }),
    "boot access": await accesses.end(before, { carryOut }),
    event: await endEvents(db, { before: daysAgo(retention.eventDays), carryOut, signal }),
  };
}
