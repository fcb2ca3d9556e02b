import assert from "node:assert/strict";
import { test } from "node:test";
import { CannotCompare, match } from "./match.ts";
import { readMatcher, readTextMatcher } from "./matcher.ts";

function failOnMistake(path: readonly PropertyKey[], message: string): never {
  throw new Error(`${path.join(".")}: ${message}`);
}

function matches(expected: unknown, found: unknown): boolean {
  return match(readMatcher(expected, failOnMistake), found).matched;
}

/** For contents, stdout and stderr. */
function textMatches(expected: unknown, found: string): boolean {
  const matcher = readTextMatcher(expected, failOnMistake);
  return matcher === undefined || match(matcher, found).matched;
}

const cases: readonly [name: string, expected: unknown, holds: readonly unknown[], fails: readonly unknown[]][] = [
  ["a text, with to-string", "10", ["10", 10, ["10"]], ["010", 11, ["1", "0"]]],
  ["a number, with to-numeric", 10, [10, "10", " 10.0\n", ["10"]], [11, "11"]],
  ["true, without a transform", true, [true], [false, "true", 1]],
  ["a list as a subset", ["a", { "have-prefix": "b" }], [["b1", "c", "a"]], [["a"], ["b1"], []]],
  ["equal, without a transform", { equal: "10" }, ["10"], [10, ["10"]]],
  ["equal of lists", { equal: ["a", "b"] }, [["a", "b"]], [["b", "a"], "a\nb"]],
  ["have-prefix", { "have-prefix": "ab" }, ["abc", ["ab", "c"]], ["cab"]],
  ["have-suffix", { "have-suffix": "bc" }, ["abc", ["a", "bc"]], ["bca"]],
  ["contain-substring", { "contain-substring": "b" }, ["abc"], ["ac"]],
  ["match-regexp", { "match-regexp": "^a\\d+$" }, ["a12", "a1"], ["a", "ba1", "a1\n"]],
  ["have-patterns", { "have-patterns": ["/^a/", "!b"] }, ["a\nc", ["a", "c"]], ["c", "a\nb"]],
  ["gt", { gt: 5 }, [6, "5.5"], [5, "4"]],
  ["ge", { ge: 5 }, [5, "6"], [4]],
  ["lt", { lt: 5 }, [4, "-1e1"], [5]],
  ["le", { le: 5 }, [5, ".5"], [6]],
  ["have-len", { "have-len": 2 }, [["a", "b"], "ab", "é"], [["a"], "abc"]],
  ["have-key", { "have-key": { "have-prefix": "a" } }, [{ ab: 1 }], [{ b: 1 }]],
  ["contain-element", { "contain-element": "b" }, [["a", "b"], "a\nb"], [["a"], "ab"]],
  ["contain-elements", { "contain-elements": ["b", "a"] }, [["a", "b", "c"], "a\nb"], [["a"]]],
  ["consist-of", { "consist-of": ["b", { gt: 1 }] }, [["2", "b"]], [["b"], ["b", "2", "c"], ["b", "1"]]],
  ["consist-of nothing", { "consist-of": [] }, [[]], [["a"]]],
  ["not", { not: { "contain-substring": "a" } }, ["b"], ["a"]],
  ["and", { and: [{ gt: 1 }, { lt: 3 }] }, [2], [1, 3]],
  ["or", { or: ["a", { "have-prefix": "b" }] }, ["a", "bc"], ["c"]],
  [
    "semver-constraint",
    { "semver-constraint": ">=1.2.0 <2.0.0 || 3.1.x" },
    ["1.9.9", "3.1.4", ["1.2.0", "1.3.0"]],
    ["2.0.0", ["1.2.0", "2.0.0"]],
  ],
];

for (const [name, expected, holds, fails] of cases) {
  test(`matcher: ${name}`, () => {
    for (const found of holds) assert.ok(matches(expected, found), `should hold for ${JSON.stringify(found)}`);
    for (const found of fails) assert.ok(!matches(expected, found), `should not hold for ${JSON.stringify(found)}`);
  });
}

test("one element does not satisfy two matchers, whatever their order", () => {
  assert.ok(!matches([{ "have-prefix": "a" }, { "have-prefix": "ab" }], ["abc", "x"]));
  assert.ok(matches([{ "have-prefix": "a" }, { "have-prefix": "ab" }], ["abc", "ax"]));
});

test("what cannot be compared is neither a yes nor a no, also under not", () => {
  const wrong: readonly [unknown, unknown][] = [
    [{ gt: 1 }, "abc"],
    [{ not: { gt: 1 } }, "abc"],
    [{ or: [{ gt: 1 }, "abc"] }, "abc"],
    [5, true],
    [["a"], "a"],
    [{ "consist-of": ["a"] }, 5],
    [{ "have-len": 1 }, 5],
    [{ "have-key": "a" }, "a"],
    [{ "semver-constraint": ">1.0.0" }, "1:9.2p1-2"],
  ];
  for (const [expected, found] of wrong) {
    assert.throws(() => matches(expected, found), CannotCompare, JSON.stringify([expected, found]));
  }
});

test("a mismatch says what is missing and what is too much", () => {
  const detail = (expected: unknown, found: unknown) => match(readMatcher(expected, failOnMistake), found).detail;
  assert.equal(detail(["a", "b"], ["a"]), 'missing: "b"');
  assert.equal(detail({ "consist-of": ["a", { gt: 1 }] }, ["a", "x"]), 'missing: one for gt; not expected: "x"');
  assert.equal(detail({ "have-patterns": ["a", "!b"] }, "c\nb"), 'no line has "a"; line 2 is against "!b"');
});

test("line patterns: texts, regular expressions, their negation and escapes", () => {
  const text = "foo bar\r\n!bang\n/etc/passwd\nBaz";
  assert.ok(textMatches(["foo", "/^foo bar$/", "\\!bang", "/etc/passwd", "!nothing", "!/^bar/", "/^baz$/i"], text));
  assert.ok(!textMatches(["foobar"], text));
  assert.ok(!textMatches(["!foo"], text));
  assert.ok(!textMatches(["/^bar/"], text));
  assert.ok(!textMatches(["!/^foo/"], text));
  assert.ok(!textMatches(["/^baz$/"], text));
  assert.ok(!textMatches(["/foo.*Baz/s"], text), "a pattern is held against single lines");
});

test("of a text, an empty list asserts nothing and an empty string asserts that it is empty", () => {
  assert.ok(textMatches([], "anything"));
  assert.ok(textMatches("", ""));
  assert.ok(!textMatches("", "anything"));
  assert.ok(textMatches([""], ""));
  assert.ok(textMatches({ and: [{ "have-prefix": "any" }, { "have-suffix": "thing" }] }, "anything"));
});

test("a pattern that would take a backtracking engine for ever is answered at once", () => {
  assert.ok(!textMatches(["/^(a+)+$/"], `${"a".repeat(50_000)}b`));
});

test("regular expressions have Go's syntax", () => {
  assert.ok(textMatches(["/(?i)^ABC\\z/", "/[[:alpha:]]{3}/"], "abc"));
  assert.throws(() => textMatches(["/a(?=b)/"], "ab"), /not a regular expression in Go's \(RE2\) syntax/);
});

test("mistakes in matchers are told with their place", () => {
  const mistakesOf = (value: unknown) => {
    const found: string[] = [];
    readMatcher(value, (path, message) => found.push(`${path.join(".")}: ${message.split(";")[0]}`));
    return found;
  };
  assert.deepEqual(mistakesOf({ and: [{ gt: "x" }, { frob: 1 }, { "match-regexp": "(" }, null, {}] }), [
    "and.0.gt: expects a number",
    'and.1.frob: unknown matcher "frob"',
    "and.2.match-regexp: not a regular expression in Go's (RE2) syntax: error parsing regexp: missing closing ): `(`",
    "and.3: has no value",
    "and.4: an empty matcher expects nothing",
  ]);
  assert.deepEqual(mistakesOf({ gjson: { a: 1 } }), ['gjson: matcher "gjson" of goss is not supported']);
  assert.deepEqual(
    mistakesOf({ gt: 1, lt: 3 }),
    ["only one matcher may stand at a place, found gt, lt"].map((text) => `: ${text}`),
  );
  assert.deepEqual(mistakesOf([]), [": an empty list expects nothing"]);
  assert.deepEqual(mistakesOf({ and: [] }), ["and: an empty list expects nothing"]);
  assert.deepEqual(mistakesOf({ "semver-constraint": ">>1.0.0" }), [
    'semver-constraint: ">>" is not a comparison of versions',
  ]);
  assert.deepEqual(mistakesOf({ "semver-constraint": 1 }), ["semver-constraint: expects a string"]);
});
