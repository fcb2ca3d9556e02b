/**
 * Runs in a sandbox, beside the tree at its mount point: reads names of programs as JSON from standard input and prints
 * what of the tree decides how it boots.
 *
 *   survey.ts TREE
 */
import { json } from "node:stream/consumers";
import { survey } from "../output/survey.ts";

process.stdout.write(JSON.stringify(await survey(process.argv[2] ?? "", (await json(process.stdin)) as string[])));
