/**
 * Runs in a sandbox, beside the tree at its mount point. It imports little, so that it starts fast.
 *
 *   observe.ts observe TREE    reads what somebody looked at as JSON from standard input, and prints what is there
 *   observe.ts compare TREE    reads what was printed so about another tree, and prints how this one differs
 */
import { json } from "node:stream/consumers";
import { firstDifference, observe, type Observed } from "../output/observed.ts";
import type { Looks } from "../output/trace.ts";

const [what, tree = ""] = process.argv.slice(2);
const input = await json(process.stdin);
const answer =
  what === "observe" ? await observe(tree, input as Looks) : { difference: firstDifference(tree, input as Observed) };
process.stdout.write(JSON.stringify(answer));
