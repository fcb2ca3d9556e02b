import assert from "node:assert/strict";
import { test } from "node:test";
import { answerBytes } from "./index.ts";

const tag = '"abc"';
const ask = (headers: Record<string, string>, size = 100, method: "GET" | "HEAD" = "GET") => {
  const { status, range, headers: out } = answerBytes(size, "abc", { method, headers });
  assert.equal(out.etag, tag);
  assert.equal(out["accept-ranges"], "bytes");
  return [
    status,
    range === undefined ? undefined : `${range.start}-${range.end}`,
    out["content-length"],
    out["content-range"],
  ];
};

const whole = [200, "0-99", "100", undefined];
const unsatisfiable = [416, undefined, "0", "bytes */100"];

const table: readonly (readonly [name: string, headers: Record<string, string>, answer: readonly unknown[]])[] = [
  ["no range", {}, whole],
  ["first byte", { range: "bytes=0-0" }, [206, "0-0", "1", "bytes 0-0/100"]],
  ["middle", { range: "bytes=10-19" }, [206, "10-19", "10", "bytes 10-19/100"]],
  ["to the end", { range: "bytes=90-" }, [206, "90-99", "10", "bytes 90-99/100"]],
  ["beyond the end is cut", { range: "bytes=90-1000" }, [206, "90-99", "10", "bytes 90-99/100"]],
  ["last bytes", { range: "bytes=-5" }, [206, "95-99", "5", "bytes 95-99/100"]],
  ["more last bytes than there are", { range: "bytes=-500" }, [206, "0-99", "100", "bytes 0-99/100"]],
  ["unit in capitals", { range: "Bytes=1-1" }, [206, "1-1", "1", "bytes 1-1/100"]],
  ["starts behind the end", { range: "bytes=100-" }, unsatisfiable],
  ["starts far behind the end", { range: "bytes=99999999999999999999-" }, unsatisfiable],
  ["no last bytes", { range: "bytes=-0" }, unsatisfiable],
  ["end before start", { range: "bytes=5-4" }, whole],
  ["several ranges", { range: "bytes=0-1,5-6" }, whole],
  ["another unit", { range: "lines=0-1" }, whole],
  ["nonsense", { range: "bytes=a-b" }, whole],
  ["only a hyphen", { range: "bytes=-" }, whole],
  ["known content", { "if-none-match": tag }, [304, undefined, undefined, undefined]],
  ["known content, weakly", { "if-none-match": `"x", W/${tag}` }, [304, undefined, undefined, undefined]],
  ["any content", { "if-none-match": "*" }, [304, undefined, undefined, undefined]],
  ["known content beats a range", { "if-none-match": tag, range: "bytes=0-0" }, [304, undefined, undefined, undefined]],
  ["other content", { "if-none-match": '"x"', range: "bytes=0-0" }, [206, "0-0", "1", "bytes 0-0/100"]],
  ["range of this content", { "if-range": tag, range: "bytes=0-0" }, [206, "0-0", "1", "bytes 0-0/100"]],
  ["range of other content", { "if-range": '"x"', range: "bytes=0-0" }, whole],
  ["range of this content, weakly", { "if-range": `W/${tag}`, range: "bytes=0-0" }, whole],
  ["range since a date", { "if-range": "Fri, 02 Jan 2026 03:04:05 GMT", range: "bytes=0-0" }, whole],
];
for (const [name, headers, answer] of table) {
  test(`bytes: ${name}`, () => assert.deepEqual(ask(headers), answer));
}

test("HEAD gives the size and no bytes, and knows no ranges", () => {
  assert.deepEqual(ask({ range: "bytes=0-0" }, 100, "HEAD"), [200, undefined, "100", undefined]);
  assert.deepEqual(ask({ "if-none-match": tag }, 100, "HEAD"), [304, undefined, undefined, undefined]);
});

test("an empty file has no bytes to give", () => {
  assert.deepEqual(ask({}, 0), [200, undefined, "0", undefined]);
  assert.deepEqual(ask({ range: "bytes=-5" }, 0), [200, undefined, "0", undefined]);
  assert.deepEqual(ask({ range: "bytes=0-" }, 0), [416, undefined, "0", "bytes */0"]);
});
