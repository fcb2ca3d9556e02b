import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, CommanderError } from "commander";
import { NetkilnError } from "../lib/errors.ts";
import { socketIn, usualConfig, usualData } from "../server/data-folder.ts";
import { version } from "../server/version.ts";
import { addAccounts, addTenants } from "./accounts.ts";
import { addBootprep } from "./bootprep.ts";
import { addBuilds } from "./builds.ts";
import { addCertificate } from "./certificate.ts";
import { addChannels } from "./channels.ts";
import { sessionOpener, type GlobalOptions } from "./command.ts";
import { addCompletion } from "./completion.ts";
import { addConfigurations, addImages } from "./images.ts";
import { addDemo } from "./demo.ts";
import { addGroups, addNodes } from "./nodes.ts";
import { openOutput, printError } from "./output.ts";
import { addKeys } from "./keys.ts";
import { addKubeconfig } from "./kubeconfig.ts";
import { addProducts } from "./products.ts";
import { addLogin } from "./login.ts";
import { addRecipes } from "./recipes.ts";
import { addStore } from "./store.ts";
import { addServe } from "./serve.ts";
import { addSessions, addTemplates } from "./sessions.ts";
import { addTokens } from "./tokens.ts";

const exitUsage = 2;

/** A configuration, and what it takes to read one, is loaded only where nothing else says where the server is. */
async function findSocket(options: GlobalOptions, environment: NodeJS.ProcessEnv): Promise<string> {
  const data = options.data ?? environment["NETKILN_DATA"];
  const config = options.config ?? environment["NETKILN_CONFIG"];
  // One that is named and not there is a mistake in any case.
  if (data !== undefined && (config === undefined || existsSync(config))) return socketIn(resolve(data));
  if (config === undefined && !existsSync(usualConfig)) return socketIn(usualData);
  const { readConfig } = await import("../server/config.ts");
  return readConfig(options, environment).socket;
}

function makeProgram(environment: NodeJS.ProcessEnv): Command {
  const program = new Command("netkiln")
    .description("Build, configure, gate, package, publish and boot diskless HPC node images.")
    .version(version)
    .option("--server <address>", "unix:PATH, http://HOST:PORT or https://HOST:PORT (NETKILN_SERVER)")
    .option("--data <folder>", "data folder of the server on this machine (NETKILN_DATA, /var/lib/netkiln)")
    .option("--config <file>", "configuration file (NETKILN_CONFIG, /etc/netkiln/config.yaml)")
    .option("--cacert <file>", "what an https server's certificate has to come from, in PEM (NETKILN_CACERT)")
    .option("--json", "print the API's objects and nothing else")
    .option("--no-color", "no colors on a terminal (NO_COLOR)")
    .showHelpAfterError("(netkiln --help lists the commands)")
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", "\nExample:\n  netkiln bootprep run examples/compute/bootprep.yaml");
  const open = sessionOpener((options: GlobalOptions) => ({
    server: async () =>
      options.server ?? environment["NETKILN_SERVER"] ?? `unix:${await findSocket(options, environment)}`,
    token: environment["NETKILN_TOKEN"],
    cacert: options.cacert ?? environment["NETKILN_CACERT"],
    color: options.color !== false && environment["NO_COLOR"] === undefined,
  }));
  addBootprep(program, open);
  addRecipes(program, open);
  addConfigurations(program, open);
  addImages(program, open, environment);
  addChannels(program, open);
  addBuilds(program, open);
  addNodes(program, open);
  addGroups(program, open);
  addTemplates(program, open);
  addSessions(program, open);
  addProducts(program, open);
  addStore(program, open);
  addTokens(program, open);
  addAccounts(program, open);
  addTenants(program, open);
  addLogin(program, open);
  addCertificate(program, open);
  addKeys(program, open);
  addKubeconfig(program, environment);
  addServe(program, environment);
  addDemo(program);
  addCompletion(program, open);
  inherit(program);
  return program;
}

/** Commander copies settings to subcommands only when they are made through it before they are set. */
function inherit(command: Command): void {
  for (const inner of command.commands) {
    inner.copyInheritedSettings(command);
    inherit(inner);
  }
}

/** Runs one command and returns its exit code: 0 done, or as the table in lib/errors says. */
export async function runCommandLine(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  // `netkiln list | head` closes our output early; that is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  try {
    await makeProgram(environment).parseAsync([...argv]);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitUsage;
    if (error instanceof NetkilnError)
      return printError(openOutput(argv.includes("--json"), environment["NO_COLOR"] === undefined), error);
    throw error;
  }
}
