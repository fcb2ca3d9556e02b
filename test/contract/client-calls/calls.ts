/** Replays tables of what clients send, over the wire, and looks at what they read of the answer. */
import assert from "node:assert/strict";
import type { Served } from "../support/served.ts";

export interface Call {
  /** As it is typed. */
  readonly command: string;
  /** METHOD PATH, as it goes over the wire; `{name}` is what an earlier call has kept under that name. */
  readonly sends: string;
  /** In its texts too, `{name}` is what was kept. */
  readonly body?: unknown;
  readonly status: number;
  /** What the client reads of the answer, in the order of the call: paths of members such as `0.link.path`. */
  readonly reads?: Readonly<Record<string, unknown>>;
  /** Where the client prints the text of the answer. */
  readonly prints?: RegExp;
  /** What the client goes on with, as name and path of the member. */
  readonly keeps?: Readonly<Record<string, string>>;
}

/** `cray` sends JSON with its type, also where there is no body. */
export const crayHeaders = { "content-type": "application/json", accept: "*/*", "user-agent": "cray/0.99.0" };

/** What stands for any value: the client needs it to be there. */
export const something = Symbol("something");

/** Sends the calls one after the other; a later one finds what an earlier one has made. */
export async function replay(
  served: Served,
  calls: readonly Call[],
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const kept = new Map<string, string>();
  const filled = (text: string) => text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => kept.get(name) ?? whole);
  for (const { command, sends, body, status, reads = {}, prints, keeps = {} } of calls) {
    const [method = "", path = ""] = filled(sends).split(" ");
    const sent = typeof body === "object" ? filled(JSON.stringify(body)) : body;
    const answer = await served.ask(method, path, { body: sent, headers });
    assert.equal(answer.status, status, `${command}: ${sends} answered ${answer.status}: ${answer.text.slice(0, 500)}`);
    if (status >= 400) {
      assert.ok(answer.json.title.length > 0 && answer.json.detail.length > 0, `${command}: no title and detail`);
    }
    for (const [place, expected] of Object.entries(reads)) {
      const found = memberOf(answer.json, place);
      const what = `${command}: ${place} of ${answer.text.slice(0, 500)}`;
      if (expected === something) assert.notEqual(found ?? "", "", what);
      else assert.deepEqual(found, expected, what);
    }
    if (prints !== undefined) assert.match(answer.text, prints, command);
    for (const [name, place] of Object.entries(keeps)) kept.set(name, String(memberOf(answer.json, place)));
  }
}

/** `a.0.b`; nothing at all for the whole. */
export function memberOf(value: unknown, place: string): unknown {
  if (place === "") return value;
  return place.split(".").reduce<unknown>((one, name) => (one as Record<string, unknown> | undefined)?.[name], value);
}
