/** Reads a stream in pieces of the sizes that its format has. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#position;
  }

  /** The next bytes without taking them; fewer than `size` only where the stream ends. */
  async peek(size: number): Promise<Buffer> {
    while (this.#rest.length < size) {
      const chunk = await this.#next();
      if (chunk === undefined) break;
      this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    }
    return this.#rest.subarray(0, size);
  }

  /** The next `size` bytes; fewer only where the stream ends. */
  async read(size: number): Promise<Buffer> {
    const found = await this.peek(size);
    this.#rest = this.#rest.subarray(found.length);
    this.#position += found.length;
    return found;
  }

  /** Passes over bytes, handing them on when asked to; returns how many there were. */
  async skip(size: number, take?: (bytes: Buffer) => Promise<void>): Promise<number> {
    let passed = 0;
    while (passed < size) {
      if (this.#rest.length === 0) this.#rest = (await this.#next()) ?? Buffer.alloc(0);
      if (this.#rest.length === 0) break;
      const part = this.#rest.subarray(0, size - passed);
      this.#rest = this.#rest.subarray(part.length);
      this.#position += part.length;
      passed += part.length;
      await take?.(part);
    }
    return passed;
  }

  /** What has not been taken yet. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const found = this.#rest.length > 0 ? this.#rest : await this.#next();
      if (found === undefined) return;
      this.#rest = Buffer.alloc(0);
      this.#position += found.length;
      yield found;
    }
  }

  async #next(): Promise<Buffer | undefined> {
    const { value, done } = await this.#chunks.next();
    if (done === true) return undefined;
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
}
