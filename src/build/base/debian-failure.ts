import { basename } from "node:path";
import { NetkilnError } from "../../lib/errors.ts";

/** What mmdebstrap says of its own progress and end; what remains are the words of apt and dpkg. */
const wrapperLine =
  /^(I: |W: Download is performed unsandboxed|E: (setup failed|mmdebstrap failed|Download Failed)|Reading |Building )/;

/** What an operator can do about what apt said, the first that fits. */
const hints: readonly (readonly [RegExp, string])[] = [
  [
    /^(Unable to locate package|Package .* has no installation candidate|Version .* was not found)/,
    "correct the packages of recipe.yaml and import it again, or add the component that has them to its components",
  ],
  [
    /^(Unable to correct problems|Unmet dependencies|Error, pkgProblemResolver)/,
    "a package needs another one that the sources do not have: correct the packages of recipe.yaml, or add the component or the suite that has it",
  ],
  [
    /Hash Sum mismatch|has an unexpected size/,
    "the mirror does not have the file that its signed index names: wait until it has been brought up to date, or use another one",
  ],
  [
    /is not signed|signatures? (were|was|couldn't)|NO_PUBKEY|no longer signed/,
    "install the archive's keyring on this host and name it in the source, as [signed-by=FILE]",
  ],
  [/is not valid (yet|anymore)|is expired/, "check this host's clock and the age of the mirror"],
  [
    /\b(401|403) +\w/,
    "the mirror wants a password: put it into /etc/apt/auth.conf.d of this host, as apt_auth.conf(5) says",
  ],
  [
    /does not have a Release file|404 +Not Found/,
    "the mirror does not have it: check its URL and the suite, or wait until it has been brought up to date",
  ],
  [
    /^(Failed to fetch|Some index files failed to download)/,
    "check the mirror and the way to it, then run the same again: packages that have come are not fetched again",
  ],
];

/** Puts what apt or dpkg said first of its failure into the message, where the program only has an exit code. */
export function explainFailure(error: unknown, noSpace?: string): unknown {
  if (!(error instanceof NetkilnError)) return error;
  if (noSpace !== undefined) return new NetkilnError(error.code, error.message, { output: [noSpace], detail: error });
  const output = error.output.filter((line) => !wrapperLine.test(line)).slice(-20);
  const cause = output.find((line) => line.startsWith("E: "))?.slice("E: ".length);
  if (cause === undefined) return error;
  const hint = hints.find(([said]) => said.test(cause))?.[1] ?? error.hint;
  // lib/exec's messages begin with the program.
  const [program = ""] = error.message.split(" ");
  return new NetkilnError(error.code, `${basename(program)} failed: ${cause}`, { output, hint, detail: error });
}
