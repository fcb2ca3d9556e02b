/**
 * The simplest requests, read from their sockets: a GET that comes whole, alone, and without a header that changes what it
 * means, as iPXE sends it. Node's HTTP takes longer for such a one than all else of a boot script. A connection on which
 * anything else comes is handed to the HTTP server, with what has come, and stays there: what is difficult about HTTP is
 * done in one place.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { clock } from "../../lib/clock.ts";
import { answerLate, problemType, type Problem } from "../problem.ts";

export interface PlainRequest {
  readonly url: string;
  /** How the client reached this door; never empty. */
  readonly host: string;
  readonly address: string | undefined;
  /** With status 200, as text/plain. */
  answer(text: string): void;
  refuse(problem: Problem): void;
}

/** Answers the request, now or later, once; returns false where the HTTP server shall. */
export type TakePlain = (request: PlainRequest) => boolean;

/** Has requests of `app` taken that are so plain. It must not listen yet; who listens for connections later sees them all. */
export function takePlainRequests(app: FastifyInstance, take: TakePlain): void {
  const { server } = app;
  const byHttp = server.listeners("connection");
  const connections = new Set<PlainConnection>();
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    const handOver = () => byHttp.forEach((listener) => Reflect.apply(listener, server, [socket]));
    const leave = () => connections.delete(connection);
    const connection = new PlainConnection(socket, { server, take, handOver, leave });
    connections.add(connection);
  });
  // The HTTP server closes its own.
  app.addHook("preClose", async () => connections.forEach((connection) => connection.close()));
}

interface Door {
  readonly server: Pick<Server, "headersTimeout" | "keepAliveTimeout" | "keepAliveTimeoutBuffer">;
  readonly take: TakePlain;
  readonly handOver: () => void;
  /** The connection is closed, or handed over. */
  readonly leave: () => void;
}

/** One request at a time, so it is this one's place as well: nothing is made for each but its texts. */
class PlainConnection implements PlainRequest {
  url = "";
  host = "";
  readonly #socket: Socket;
  readonly #door: Door;
  readonly #listeners: readonly (readonly [event: string, listener: (chunk: Buffer) => void])[];
  /** As they were sent with the last request; most clients send the same with each. */
  #headers = "";
  #isFirst = true;
  #isAnswering = false;
  /** Something has come while a request was being answered. It waits in the socket. */
  #hasMore = false;
  #hasEnded = false;

  constructor(socket: Socket, door: Door) {
    this.#socket = socket;
    this.#door = door;
    this.#listeners = [
      ["data", (chunk) => this.#take(chunk)],
      ["end", () => this.#end()],
      ["timeout", () => this.#timeOut()],
      ["close", door.leave],
      // It is closed then. With nobody to hear of it, the process would end.
      ["error", () => undefined],
    ];
    for (const [event, listener] of this.#listeners) socket.on(event, listener);
    socket.setTimeout(door.server.headersTimeout);
  }

  get address(): string | undefined {
    return this.#socket.remoteAddress;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#isAnswering) {
      this.#hasMore = true;
      this.#socket.pause().unshift(chunk);
      return;
    }
    // Who asks and does not read the answers is made to wait by the HTTP server.
    const isPlain = !this.#socket.writableNeedDrain && this.#read(chunk);
    this.#isAnswering = true;
    if (isPlain && this.#door.take(this)) return;
    this.#handOver(() => this.#socket.unshift(chunk));
  }

  /** Returns false for what is not plain. */
  #read(chunk: Buffer): boolean {
    if (chunk.length > largest) return false;
    const text = chunk.toString("latin1");
    const line = text.indexOf("\r\n");
    const urlEnd = line - version.length;
    if (!text.startsWith(method) || !text.startsWith(version, urlEnd)) return false;
    const headers = text.slice(line);
    if (headers !== this.#headers) {
      const host = hostOfPlain(headers);
      if (host === undefined) return false;
      this.host = host;
      this.#headers = headers;
    }
    this.url = text.slice(method.length, urlEnd);
    return true;
  }

  answer(text: string): void {
    this.#send("200 OK", "text/plain", text);
  }

  refuse(problem: Problem): void {
    this.#send(`${problem.status} ${problem.title}`, problemType, JSON.stringify(problem));
  }

  #send(status: string, type: string, body: string): void {
    const socket = this.#socket;
    // Its client has gone.
    if (socket.destroyed) return;
    const { keepAliveTimeout, keepAliveTimeoutBuffer } = this.#door.server;
    const length = Buffer.byteLength(body);
    const goesOn = this.#hasEnded
      ? "Connection: close"
      : `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveTimeout / 1000)}`;
    const message =
      `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n` +
      `Date: ${httpDate()}\r\n${goesOn}\r\n\r\n${body}`;
    // ASCII takes less.
    socket.write(message, length === body.length ? "latin1" : "utf8");
    this.#isAnswering = false;
    if (this.#isFirst) socket.setTimeout(keepAliveTimeout + keepAliveTimeoutBuffer);
    this.#isFirst = false;
    if (this.#hasEnded) socket.end();
    else if (this.#hasMore) this.#handOver();
  }

  /** @param putBack what was read already */
  #handOver(putBack = () => {}): void {
    const socket = this.#socket;
    for (const [event, listener] of this.#listeners) socket.off(event, listener);
    socket.setTimeout(0);
    this.#door.leave();
    // Nobody listens for it yet.
    putBack();
    this.#door.handOver();
    socket.resume();
  }

  #end(): void {
    this.#hasEnded = true;
    if (!this.#isAnswering) this.#socket.end();
  }

  /** As the HTTP server does. */
  #timeOut(): void {
    if (this.#isAnswering) return;
    if (this.#isFirst) answerLate(this.#socket);
    else this.#socket.destroy();
  }
}

const method = "GET ";
const version = " HTTP/1.1";
/** Bytes; those of nodes are smaller. */
const largest = 2048;

/** They change what is asked for, how long it is, or who is meant to have sent it. */
const meaningful: ReadonlySet<string> = new Set([
  ...["content-length", "transfer-encoding", "expect", "upgrade", "x-forwarded-for"],
]);
const header = /^([\w-]+): *([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;

/** @param headers from the end of the first line on */
function hostOfPlain(headers: string): string | undefined {
  // What comes behind the empty line would be a line that is no header.
  if (!headers.endsWith("\r\n\r\n")) return undefined;
  let host: string | undefined;
  for (const line of headers.slice(2, -4).split("\r\n")) {
    const [, name, value] = header.exec(line) ?? [];
    const key = name?.toLowerCase();
    if (key === undefined || value === undefined || meaningful.has(key)) return undefined;
    if (key === "connection" && value.toLowerCase() !== "keep-alive") return undefined;
    if (key !== "host") continue;
    if (host !== undefined) return undefined;
    host = value;
  }
  return host;
}

let dated = { second: 0, text: "" };

/** RFC 9110, section 5.6.7. */
function httpDate(): string {
  const now = clock.now();
  const second = Math.floor(now.getTime() / 1000);
  if (second !== dated.second) dated = { second, text: now.toUTCString() };
  return dated.text;
}
