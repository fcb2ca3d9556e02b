/** The folder rules of docs/architecture.md, checked by `npm run check`. */

// What each room may import besides lib; "only upstream, never in a circle".
const rooms = {
  lib: [],
  access: [],
  telemetry: [],
  job: [],
  artifact: [],
  catalog: [],
  compliance: [],
  configuration: [],
  node: [],
  bootprep: [],
  image: [],
  build: ["artifact", "compliance", "configuration", "image", "job", "telemetry"],
  boot: ["image", "node", "telemetry"],
  projection: ["image"],
  netboot: ["node"],
  power: ["node"],
  orchestration: ["boot", "image", "node", "power", "projection", "telemetry"],
};
const domains = Object.keys(rooms).filter((room) => room !== "lib");

const only = (name, comment, path, allowedFrom) => ({
  name,
  comment,
  severity: "error",
  from: { pathNot: [...allowedFrom, "\\.test\\.ts$"] },
  to: { path },
});

module.exports = {
  forbidden: [
    { name: "no-circles", severity: "error", from: {}, to: { circular: true } },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `${room}-imports`,
      comment: `${room} may import lib and: ${allowed.join(", ") || "nothing else of ours"}`,
      severity: "error",
      from: { path: `^src/${room}/` },
      to: { path: "^src/", pathNot: [`^src/(${["lib", room, ...allowed].join("|")})/`] },
    })),
    ...domains.map((room) => ({
      name: `${room}-by-its-face`,
      comment: "a domain is imported through its index.ts only",
      severity: "error",
      from: { path: "^src/", pathNot: [`^src/${room}/`] },
      to: { path: `^src/${room}/`, pathNot: [`^src/${room}/index\\.ts$`] },
    })),
    {
      name: "cli-talks-to-the-api",
      comment: "commands know the API's answers, not the domains",
      severity: "error",
      from: { path: "^src/cli/" },
      to: { path: `^src/(${domains.join("|")})/`, dependencyTypesNot: ["type-only"] },
    },
    only("http-server-in-api", "fastify appears only in api and server", "^node_modules/fastify", [
      "^src/(api|server)/",
      "^test/",
    ]),
    only("processes-in-exec", "only lib/exec starts a process", "^(node:)?child_process$|node_modules/execa", [
      "^src/lib/exec\\.ts$",
      "^test/",
    ]),
    only("databases-in-db", "only lib/db opens a database", "^(node:)?sqlite$", ["^src/lib/db\\.ts$", "^test/"]),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    parser: "swc",
    enhancedResolveOptions: {
      extensions: [".ts", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node"],
    },
  },
};
