import { setImmediate as othersTurn } from "node:timers/promises";

/**
 * So many pieces of work at a time; the others wait in the order in which they came. Work that never waits for anything
 * outside of the process, such as on the database, would keep the event loop from everybody else: so each piece lets
 * them have a turn first.
 */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await othersTurn();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
