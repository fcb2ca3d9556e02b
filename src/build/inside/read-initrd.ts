/**
 * Runs in a sandbox: unpacks an initrd in memory and prints what is in it.
 *
 *   read-initrd.ts FILE
 */
import { readFileSync } from "node:fs";
import { readInitrd } from "../output/newc-reader.ts";

process.stdout.write(JSON.stringify(readInitrd(readFileSync(process.argv[2] ?? ""))));
