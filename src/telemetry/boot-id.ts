import { clock } from "../lib/clock.ts";

/**
 * The name of a new boot: when it begins, in milliseconds and 48 bits, and 80 bits of chance, which nobody can guess.
 * The time stands in front for the database, as in UUIDs of version 7 (RFC 9562): what begins together stands together
 * in its indexes. With chance alone, each boot of a storm writes pages of its own. In short it is shown by its end, as
 * boots of the same days begin alike.
 */
export function newBootId(): string {
  const uuid = clock.uuid();
  // Where a UUID of version 4 is chance; Node makes many at a time, which costs a tenth of as many random bytes.
  return clock.now().getTime().toString(16).padStart(12, "0") + uuid.slice(0, 8) + uuid.slice(24);
}
