/**
 * Names in a Linux tree are bytes, not text, and not all of them are UTF-8. Here a path is a byte string: each
 * character is one byte (latin1), so that it compares bytewise, and nothing is lost.
 */
export type BytePath = string;

export function toBytePath(text: string): BytePath {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** As the file system's functions take it. */
export function toBuffer(path: BytePath): Buffer {
  return Buffer.from(path, "latin1");
}

/** For messages; bytes that are no UTF-8 become U+FFFD. */
export function toText(path: BytePath): string {
  return toBuffer(path).toString("utf8");
}

/** Whether it can be written as text, and so be an argument of a command. */
export function isText(path: BytePath): boolean {
  return toBytePath(toText(path)) === path;
}
