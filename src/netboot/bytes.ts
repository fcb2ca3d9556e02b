/**
 * How a request for a file's bytes is answered (RFC 9110: conditional requests in section 13, ranges in section 14).
 * Pure: it sees sizes and header texts and touches no file.
 */
export interface BytesRequest {
  readonly method: "GET" | "HEAD";
  /** As Node gives them: lower-case names, one text each. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface BytesAnswer {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Readonly<Record<string, string>>;
  /** What to send, counted from 0, both ends inclusive; absent when no body is sent or the body is empty. */
  readonly range: { readonly start: number; readonly end: number } | undefined;
}

/** `size` in bytes; `digest` names the content and becomes its strong ETag. */
export function answerBytes(size: number, digest: string, { method, headers }: BytesRequest): BytesAnswer {
  const etag = `"${digest}"`;
  const common = { etag, "accept-ranges": "bytes" };
  const bodied = method === "GET";
  if (matches(text(headers["if-none-match"]), etag)) return { status: 304, headers: common, range: undefined };

  // A range that was wanted of other content would make a mixture of both: the whole is sent then (If-Range).
  const ifRange = text(headers["if-range"]);
  const wanted = bodied && (ifRange === undefined || ifRange.trim() === etag) ? text(headers.range) : undefined;
  const range = wanted === undefined ? "whole" : parseRange(wanted, size);
  if (range === "unsatisfiable") {
    return {
      status: 416,
      headers: { ...common, "content-range": `bytes */${size}`, "content-length": "0" },
      range: undefined,
    };
  }
  if (range === "whole") {
    const whole = size === 0 || !bodied ? undefined : { start: 0, end: size - 1 };
    return { status: 200, headers: { ...common, "content-length": String(size) }, range: whole };
  }
  const length = range.end - range.start + 1;
  return {
    status: 206,
    headers: {
      ...common,
      "content-range": `bytes ${range.start}-${range.end}/${size}`,
      "content-length": String(length),
    },
    range,
  };
}

/** Several ranges at once are answered whole, as a server may; so is what is no byte range at all. */
function parseRange(header: string, size: number): { start: number; end: number } | "whole" | "unsatisfiable" {
  const [, first = "", last = ""] = /^bytes\s*=\s*(\d*)-(\d*)\s*$/i.exec(header.trim()) ?? [];
  if (first === "" && last === "") return "whole";
  if (first === "") {
    if (Number(last) === 0) return "unsatisfiable";
    return size === 0 ? "whole" : { start: Math.max(0, size - Number(last)), end: size - 1 };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return "whole";
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size - 1 : Math.min(Number(last), size - 1) };
}

/** If-None-Match compares weakly: W/ in front of a tag does not count. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

function text(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "string" || header === undefined ? header : header.join(",");
}
