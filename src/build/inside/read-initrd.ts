/**
 * Unpacks an initrd in memory and prints what is in it: a process of its own, as it can be large, or hostile.
 *
 *   read-initrd.ts FILE
 */
import { readFileSync } from "node:fs";
import { readInitrd } from "../output/newc-reader.ts";

process.stdout.write(JSON.stringify(readInitrd(readFileSync(process.argv[2] ?? ""))));
