import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { NetkilnError } from "../lib/errors.ts";
import type { GlobalOptions } from "./command.ts";
import { openOutput, printJson } from "./output.ts";
import { yamlLines } from "./yaml-file.ts";

interface Options {
  readonly gateway?: string;
  readonly tokenFile: string;
  readonly caFile?: string;
}

/** Adds `kubeconfig`: what sat and kubectl read to find the server. */
export function addKubeconfig(program: Command, environment: NodeJS.ProcessEnv): void {
  const command = program
    .command("kubeconfig")
    .description("print a kubeconfig for sat and kubectl that points at this server (option sat)");
  command
    .option("--gateway <url>", "how the client reaches the server; sat.gateway of the configuration when not given")
    .requiredOption("--token-file <file>", "where a token stands on the client's host; an absolute path")
    .option("--ca-file <file>", "certificate by which the client trusts the server; it is copied into the output");
  command.addHelpText(
    "after",
    "\nExample:\n  netkiln kubeconfig --gateway https://api-gw-service-nmn.local --token-file /root/.netkiln-token" +
      " > ~/.kube/config",
  );
  command.action(async (options: Options) => {
    const globals = command.optsWithGlobals<GlobalOptions>();
    const { readConfig } = await import("../server/config.ts");
    const config = options.gateway === undefined ? readConfig(globals, environment) : undefined;
    const gateway = options.gateway ?? config?.sat?.gateway ?? config?.admin_url;
    const kubeconfig = kubeconfigOf(gateway, options.tokenFile, await readCertificate(options.caFile));
    const output = openOutput(globals.json === true, false);
    if (output.json) printJson(output, kubeconfig);
    else output.print(await yamlLines(kubeconfig));
    await warnOfLineEnd(options.tokenFile, (text) => output.warn(text));
  });
}

/** The form is that of Kubernetes, client-go `clientcmd/api/v1`. The token stays in its file. */
export function kubeconfigOf(gateway: string | undefined, tokenFile: string, certificate: string | undefined): object {
  const problems = [
    ...(gateway !== undefined && /^https?:\/\/[^/\s]+\/?$/.test(gateway)
      ? []
      : [{ message: "--gateway must be http://HOST:PORT or https://HOST:PORT" }]),
    // A relative one would be looked for beside the kubeconfig.
    ...(tokenFile.startsWith("/") ? [] : [{ message: "--token-file must be an absolute path" }]),
  ];
  if (problems.length > 0) throw new NetkilnError("invalid_input", "no kubeconfig can be made of this", { problems });
  const name = "netkiln";
  const cluster = {
    server: gateway?.replace(/\/$/, ""),
    ...(certificate !== undefined && { "certificate-authority-data": Buffer.from(certificate).toString("base64") }),
  };
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster }],
    users: [{ name, user: { tokenFile } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "services" } }],
    "current-context": name,
  };
}

async function readCertificate(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const text = await readFile(file, "utf8").catch(() => "");
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new NetkilnError("invalid_input", `${file} holds no certificate in PEM form`);
}

/** The Python client sends the file as it is, and no header may hold the end of a line. */
async function warnOfLineEnd(tokenFile: string, warn: (text: string) => void): Promise<void> {
  const text = await readFile(tokenFile, "utf8").catch(() => "");
  if (/\s$/.test(text)) warn(`warning: ${tokenFile} ends with a line end; sat needs the token alone (printf %s)`);
}
