import { join } from "node:path";
import { openSigningKey, type Image } from "../image/index.ts";
import { timestamp } from "../lib/clock.ts";
import { builderId } from "./describe/documents.ts";
import { reproducedStatement, statementText } from "./describe/provenance.ts";
import type { Comparison } from "./types.ts";
import type { BuildContext } from "./work.ts";

/** Stores what a rebuild came to beside the image, signed. Files that only describe it are not made again. */
export async function attestRebuild(
  id: string,
  image: Image,
  { same, different, files, manual }: Comparison,
  context: BuildContext,
): Promise<void> {
  const { manifest: _made, ...artifacts } = image.artifacts;
  const subjects = Object.entries(artifacts).map(([name, { sha256 }]) => ({ name, sha256 }));
  const rebuilt = subjects.flatMap(({ name, sha256 }) => {
    if (same.includes(name)) return [{ name, sha256 }];
    const now = different.find(({ what }) => what === name)?.is ?? "none";
    return now === "none" ? [] : [{ name, sha256: now }];
  });
  const build = await context.builds.find(id);
  const finished = timestamp();
  const statement = reproducedStatement({
    buildId: image.buildId,
    subjects,
    rebuilt,
    differences: files.map((line) => {
      const [path = "", what = ""] = line.split(": ");
      return { path, aspects: what.split(", ") };
    }),
    manual,
    builder: { id: builderId, tools: { netkiln: context.version, ...context.tools } },
    run: { id, started: build?.started ?? finished, finished },
  });
  const text = statementText(statement);
  const key = await openSigningKey(join(context.data, "keys"));
  const signature = await key.sign(Buffer.from(text), `image:${image.name} id:${image.id} file:reproduced.json`);
  await context.images.attest(image.id, {
    kind: "reproduced",
    result: statement.predicate.result,
    created: finished,
    statement: (await context.blobs.putBytes(text)).sha256,
    signature: (await context.blobs.putBytes(signature)).sha256,
  });
}
