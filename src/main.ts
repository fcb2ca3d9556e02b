const required = [24, 11] as const;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < required[0] || (major === required[0] && minor < required[1])) {
  console.error(
    `netkiln needs Node ${required.join(".")} or later, and this is ${process.versions.node}: run "npm ci" in its folder`,
  );
  process.exit(2);
}

// Loaded only now, as older versions cannot even read it.
const { runCommandLine } = await import("./cli/program.ts");
process.exitCode = await runCommandLine(process.argv, process.env);
