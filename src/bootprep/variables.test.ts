import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, NetkilnError } from "../lib/errors.ts";
import { collectVariables, listVariables, pathsUnder, renderValue } from "./variables.ts";

test("later sources win, mappings merge, top-level hyphens become underscores", () => {
  const variables = collectVariables({
    files: [
      {
        file: "a.yaml",
        text: "slingshot-host-software: {version: 2.0.1, working-branch: main}\ndefault: {note: a, suffix: ''}",
      },
      { file: "b.yaml", text: "default: {note: b}\nlist: [1]" },
    ],
    assignments: ["default.note=c=d", "slingshot-host-software.version=2.1", "list.x=1", "site="],
  });
  assert.deepEqual(variables, {
    slingshot_host_software: { version: "2.1", "working-branch": "main" },
    default: { note: "c=d", suffix: "" },
    list: { x: "1" },
    site: "",
  });
});

test("every variable is listed with what gave it its value", () => {
  const files = [
    { file: "recipe", text: "cos: {version: 1, b: x}\nslingshot-host: {v: 2}\nlist: [1, 2]\nempty: {}" },
    { file: "site.yaml", text: "cos: {version: 2}\nlist: {a: 1}" },
  ];
  assert.deepEqual(listVariables({ files, assignments: ["cos.version=3", "cos.version=4"] }), [
    { name: "cos.b", value: "x", source: "recipe" },
    { name: "cos.version", value: "4", source: "--vars" },
    { name: "empty", value: {}, source: "recipe" },
    { name: "list.a", value: 1, source: "site.yaml" },
    { name: "slingshot_host.v", value: 2, source: "recipe" },
  ]);
});

test("a variable named __proto__ changes nothing but itself", () => {
  const variables = collectVariables({ assignments: ["__proto__.polluted=yes"] });
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.deepEqual(Object.keys(variables), ["__proto__"]);
});

test("every mistake of every source is told at once", () => {
  const sources = {
    files: [
      { file: "a.yaml", text: "- 1\n" },
      { file: "b.yaml", text: "a: 1\na: 2\n" },
    ],
    assignments: ["novalue", "=x", "a..b=1"],
  };
  assert.throws(
    () => collectVariables(sources),
    (error) => {
      assert.ok(error instanceof NetkilnError);
      assert.equal(error.code, "invalid_input");
      assert.equal(error.message, "the variables have 5 mistakes");
      assert.deepEqual(error.problems.map(formatProblem), [
        "a.yaml:1:1: a variables file must be a mapping of names to values",
        "b.yaml:2:1: Map keys must be unique",
        "--vars novalue: expected NAME=VALUE (for example --vars default.note=test-)",
        "--vars =x: expected NAME=VALUE (for example --vars default.note=test-)",
        "--vars a..b=1: expected NAME=VALUE (for example --vars default.note=test-)",
      ]);
      return true;
    },
  );
});

const variables = {
  default: { note: "n-", system_name: "sys" },
  csm: { "x-y": "1.6" },
  items: ["a", "b"],
  text: "1.2",
};

test("values are rendered as Jinja does", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["{{default.note}}compute", "n-compute"],
    ["{{ csm['x-y'] }}", "1.6"],
    ["{% for item in items %}{{ item }}{% endfor %}", "ab"],
    ["{{ text.split('.')[0] }}", "1"],
    ["{{ absent | default('z') }}", "z"],
    ["{% if absent is defined %}a{% else %}b{% endif %}", "b"],
    ["spire_join_token=${SPIRE_JOIN_TOKEN}", "spire_join_token=${SPIRE_JOIN_TOKEN}"],
    ["console=ttyS0\n", "console=ttyS0"],
    ["{{ 'a' ~ text }}", "a1.2"],
    ["{{ absent | upper | default('z', true) }}", "z"],
    ["{{ absent ~ 'x' if absent is defined else 'y' }}", "y"],
  ];
  for (const [template, text] of cases) assert.deepEqual(renderValue(template, variables), { text }, template);
});

test("unknown variables are named, each once", () => {
  const give = "give it with --vars or in a --vars-file";
  const cases: readonly (readonly [string, string, string])[] = [
    ["{{ absent.version }}", "unknown variable absent.version", give],
    ["{{ defaultt.note }}", "unknown variable defaultt.note", "did you mean default.note?"],
    ["{{ default.system_nam }}", "unknown variable default.system_nam", "did you mean default.system_name?"],
    ["{{ default.other }}", "unknown variable default.other", "default has note, system_name"],
    ["{{ a }}{{ b.c }}{{- a -}}", "unknown variables a, b.c", give],
    ["{{ a | default('x') }}{{ b | upper }}", "unknown variable b", give],
    ["{% for item in others %}{{ item }}{% endfor %}", "unknown variable others", give],
    ["{{ csm['z-y'] }}", "unknown variable csm.z-y", "did you mean csm.x-y?"],
    // The engine alone would make "x" of this.
    ["{{ 'x' ~ missing }}", "unknown variable missing", give],
  ];
  for (const [template, message, hint] of cases)
    assert.deepEqual(renderValue(template, variables), { message, hint }, template);
});

test("other mistakes keep the engine's words", () => {
  assert.deepEqual(renderValue("{{ text", variables), {
    message: "the template cannot be rendered: syntax error: unexpected end of input, expected end of variable block",
  });
  assert.deepEqual(renderValue("{{ text | nope }}", variables), {
    message: "the template cannot be rendered: unknown filter: filter nope is unknown",
  });
});

test("a template reaches nothing but its variables", () => {
  const templates = [
    "{{ ''.__class__.__mro__ }}",
    "{{ default.constructor }}",
    "{{ items.constructor.constructor('return process')() }}",
    "{{ self }}",
    "{% include '/etc/passwd' %}",
    "{{ process.env.HOME }}",
    "{{ default.__proto__ }}",
  ];
  for (const template of templates) {
    const result = renderValue(template, variables);
    assert.ok("message" in result, `${template} gives ${JSON.stringify(result)}`);
  }
});

test("a template that would break the engine is refused, and the engine lives on", () => {
  const message = "the template cannot be rendered: a template can have 4096 characters, and this one has 8006";
  assert.deepEqual(renderValue(`{{ ${"-".repeat(8000)}1}}`, variables), { message });
  assert.deepEqual(renderValue("x".repeat(5000), variables), { text: "x".repeat(5000) });
  assert.deepEqual(renderValue("{{ text }}", variables), { text: "1.2" });
});

test("what a template reads from a record is found", () => {
  assert.deepEqual(pathsUnder("base", "{{default.note}}{{ base.name }}-{{base['arch']}} base.id {# {{ base.x }} #}"), [
    ["name"],
    ["arch"],
  ]);
  assert.deepEqual(pathsUnder("base", "{{ base | tojson }}{{ 'base.name' }}"), [[]]);
});
