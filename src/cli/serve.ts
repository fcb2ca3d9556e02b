import { resolve } from "node:path";
import type { Command } from "commander";
import { NetkilnError } from "../lib/errors.ts";
import type { GlobalOptions } from "./command.ts";
import { openOutput } from "./output.ts";

/** A signal that an operator's Ctrl-C, or a service manager's stop, sets off. */
function untilStopped(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  return stop.signal;
}

interface ServeFlags {
  readonly worker: boolean;
  readonly listen?: string;
  readonly nodeDoor?: string;
  readonly tls?: boolean;
  readonly certificate?: string;
  readonly key?: string;
}

function tlsFrom({ tls, certificate, key }: ServeFlags) {
  if (certificate !== undefined && key !== undefined) {
    return { admin_tls: { certificate: resolve(certificate), key: resolve(key) } };
  }
  if (certificate === undefined && key === undefined) return tls === true ? { admin_tls: true } : {};
  throw new NetkilnError("invalid_input", "--certificate and --key are given together or not at all");
}

export function addServe(program: Command, environment: NodeJS.ProcessEnv): void {
  const serve = program.command("serve").description("run the server, and a worker beside it when started as root");
  serve
    .option("--no-worker", "start no worker; run one with: netkiln worker")
    .option("--listen <address:port>", "administration over TCP, for callers with a token")
    .option(
      "--tls",
      "speak TLS there, with the certificate of admin_tls or one that is made; always so beyond loopback",
    )
    .option("--certificate <file>", "the certificate for TLS in PEM, with --key")
    .option("--key <file>", "its private key in PEM")
    .option("--node-door <address:port>", "where booting nodes are served");
  serve.addHelpText("after", "\nExample:\n  netkiln serve --data /var/lib/netkiln --node-door 10.1.0.1:8077");
  serve.action(async (options: ServeFlags) => {
    const [{ serve: run }, { readConfig }] = await Promise.all([
      import("../server/serve.ts"),
      import("../server/config.ts"),
    ]);
    const globals = serve.optsWithGlobals<GlobalOptions>();
    const config = readConfig(globals, environment, {
      ...(options.listen !== undefined && { admin_listen: options.listen }),
      ...(options.nodeDoor !== undefined && { node_door_listen: options.nodeDoor }),
      ...tlsFrom(options),
    });
    const output = openOutput(globals.json === true, true);
    const worker = options.worker && process.getuid?.() === 0;
    await run(
      config,
      {
        worker,
        onReady: ({ socket, admin, nodeDoor }) => {
          output.print(`netkiln serves ${config.data}`);
          output.print(`  administration  unix:${socket}${admin === undefined ? "" : ` and ${admin} (with a token)`}`);
          output.print(`  node door       http://${nodeDoor}`);
          output.print(
            worker
              ? "  worker          started"
              : "  worker          none: run `netkiln worker` as root to build images",
          );
        },
      },
      untilStopped(),
    );
  });

  const work = program.command("worker").description("run builds for the server of the same data folder; needs root");
  work.addHelpText("after", "\nExample:\n  netkiln worker --data /var/lib/netkiln");
  work.action(async () => {
    const [{ runWorker }, { readConfig }] = await Promise.all([
      import("../server/worker.ts"),
      import("../server/config.ts"),
    ]);
    await runWorker(readConfig(work.optsWithGlobals<GlobalOptions>(), environment), untilStopped());
  });
}
