import { clock } from "../lib/clock.ts";

/** Slows down who guesses: after so many failures of one key, none of its attempts is looked at for a while. */
export interface Throttle {
  /** Counts an attempt; the seconds to wait when it is not to be looked at, 0 when it is. */
  attempt(key: string): number;
  /** The attempt was right, and is no failure. */
  succeeded(key: string): void;
}

export interface ThrottleRules {
  readonly attempts: number;
  readonly seconds: number;
}

/** Whoever invents keys makes the oldest ones be forgotten, and does not fill the memory. */
const mostKeys = 10_000;

/**
 * Kept in memory: a restart forgets it. Attempts that are not looked at do not count, so that nobody is kept out for
 * longer by them.
 */
export function openThrottle({ attempts, seconds }: ThrottleRules): Throttle {
  const seen = new Map<string, { count: number; since: number }>();
  return {
    attempt: (key) => {
      const now = clock.now().getTime();
      const known = seen.get(key);
      if (known !== undefined && now - known.since < seconds * 1000) {
        if (known.count >= attempts) return Math.ceil(seconds - (now - known.since) / 1000);
        known.count += 1;
        return 0;
      }
      seen.delete(key);
      seen.set(key, { count: 1, since: now });
      const [oldest] = seen.keys();
      if (seen.size > mostKeys && oldest !== undefined) seen.delete(oldest);
      return 0;
    },
    succeeded: (key) => {
      const known = seen.get(key);
      if (known !== undefined) known.count -= 1;
    },
  };
}
