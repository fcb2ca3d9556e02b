/**
 * Runs in a sandbox, beside the tree at its mount point: reads the checks as JSON from standard input and prints the
 * verdict. A process of its own, because only there the tree is mounted.
 */
import { json } from "node:stream/consumers";
import { evaluateGate, type ChecksFile, type RunCommand } from "../../compliance/index.ts";
import { run } from "../../lib/exec.ts";
import { treeMountPoint } from "../sandbox/sandbox.ts";

const checks = (await json(process.stdin)) as ChecksFile[];
const shell = await run(["chroot", treeMountPoint, "/bin/sh", "-c", ":"], { okExitCodes: "any" });

/** In a PID namespace of its own, so that what a command starts ends with it or with its time limit. */
const runCommand: RunCommand = async (command, { timeoutMs }) => {
  if (shell.exitCode !== 0) throw new Error("the tree has no shell that runs (/bin/sh)");
  const wrapped = ["unshare", "--pid", "--fork", "--kill-child=KILL", "chroot", treeMountPoint] as const;
  return run([...wrapped, "/bin/sh", "-c", command], { timeoutMs, okExitCodes: "any" });
};

process.stdout.write(JSON.stringify(await evaluateGate({ checks, tree: treeMountPoint, runCommand })));
