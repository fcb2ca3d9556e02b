import type { Command } from "commander";
import type { ServerCertificate } from "../access/index.ts";
import type { OpenSession } from "./command.ts";
import { printFields, printJson, type Output } from "./output.ts";

type Shown = Omit<ServerCertificate, "key">;

/** Adds `certificate show` and `certificate renew`: what the server shows to callers over TCP. */
export function addCertificate(program: Command, open: OpenSession): void {
  const certificate = program.command("certificate").description("what the server proves itself by over TCP");
  const show = certificate.command("show").description("show the certificate, and what clients have to trust");
  show.option("--authority", "print the authority's certificate alone, for clients (--cacert)");
  show.addHelpText("after", "\nExample:\n  netkiln certificate show --authority > netkiln-ca.pem");
  show.action(async (options: { authority?: boolean }) => {
    const { client, output } = open(show);
    const shown = await client.get<Shown>("/certificate");
    if (options.authority === true) output.print((shown.authority?.certificate ?? shown.certificate).trimEnd());
    else print(shown, output);
  });
  const renew = certificate.command("renew").description("make another certificate now; the authority stays");
  renew.addHelpText("after", "\nExample:\n  netkiln certificate renew");
  renew.action(async () => {
    const { client, output } = open(renew);
    print(await client.send<Shown>("POST", "/certificate/renew"), output);
  });
}

function print(shown: Shown, output: Output): void {
  if (output.json) return printJson(output, shown);
  printFields(output, [
    ["names", shown.names],
    ["expires", shown.expires],
    ["fingerprint", shown.fingerprint],
    ["made by", shown.isMade ? "this server" : "the site"],
    ["authority", shown.authority?.file],
  ]);
}
