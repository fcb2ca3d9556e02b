/** Carries a session of images on: each of its images is built anew, with the session's configuration. */
import { timestamp } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { ConfigurationSessionStore } from "./sessions.ts";
import type { ConfigurationSession, Layer, SessionImage } from "./types.ts";

export type ImageOutcome =
  | { readonly kind: "running" }
  | { readonly kind: "image"; readonly image: string }
  | { readonly kind: "failed"; readonly error: string };

export interface ImageSessionPorts {
  readonly sessions: Pick<ConfigurationSessionStore, "report">;
  /** Throws `conflict` while another build has the image's name, and what else is wrong with the wish. */
  startImage(
    image: SessionImage,
    session: ConfigurationSession,
  ): Promise<{ readonly kind: "image"; readonly image: string } | { readonly kind: "build"; readonly build: string }>;
  outcomeOf(build: string): Promise<ImageOutcome>;
  /** A name for what does the session's work. */
  makeJob(): string;
}

/** Takes every step that can be taken now; the session is complete when the last of its images is. */
export async function advanceImageSession(session: ConfigurationSession, ports: ImageSessionPorts): Promise<void> {
  const images: SessionImage[] = [];
  for (const image of session.images) images.push(await advanceImage(image, session, ports));
  if (JSON.stringify(images) === JSON.stringify(session.images)) return;
  const started = images.some(({ build, resultId, error }) => (build ?? resultId ?? error) !== undefined);
  const ended = images.every(({ resultId, error }) => (resultId ?? error) !== undefined);
  const imsJob = images.find(({ build }) => build !== undefined)?.build;
  await ports.sessions.report(session.name, {
    images,
    status: ended ? "complete" : started ? "running" : "pending",
    ...(session.job === undefined && started && { job: ports.makeJob() }),
    ...(imsJob !== undefined && { imsJob }),
    artifacts: images.flatMap(({ imageId, resultId }) =>
      resultId === undefined ? [] : [{ imageId, resultId, type: "ims_customized_image" }],
    ),
    ...(ended && {
      succeeded: images.every(({ error }) => error === undefined) ? "true" : "false",
      completionTime: timestamp(),
    }),
  });
}

async function advanceImage(
  image: SessionImage,
  session: ConfigurationSession,
  ports: ImageSessionPorts,
): Promise<SessionImage> {
  if (image.resultId !== undefined || image.error !== undefined) return image;
  try {
    if (image.build === undefined) {
      const started = await ports.startImage(image, session);
      return started.kind === "image" ? { ...image, resultId: started.image } : { ...image, build: started.build };
    }
    const outcome = await ports.outcomeOf(image.build);
    if (outcome.kind === "image") return { ...image, resultId: outcome.image };
    return outcome.kind === "failed" ? { ...image, error: outcome.error } : image;
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    // Another build of that name: its turn comes when that has ended.
    if (error.code === "conflict") return image;
    return { ...image, error: error.message };
  }
}

/** What the image of a session is to be called. */
export function resultName(
  { imageId }: SessionImage,
  { name, target }: ConfigurationSession,
  imageName: string,
): string {
  const mapped = target.imageMap?.find(({ sourceId }) => sourceId === imageId);
  return mapped?.resultName ?? `${imageName}_cfs_${name}`;
}

/** The layers that a session is limited to: names or indices, from 0, in the order of the configuration. */
export function limitLayers(layers: readonly Layer[], limit: string): readonly Layer[] {
  if (limit.trim() === "") return layers;
  const wanted = limit.split(",").map((part) => part.trim());
  const unknown = wanted.filter((part) => !layers.some(({ name }, index) => name === part || String(index) === part));
  if (unknown.length > 0) {
    throw new NetkilnError("invalid_input", `the configuration has no layer ${unknown.join(", ")}`);
  }
  return layers.filter(({ name }, index) => wanted.includes(name ?? "") || wanted.includes(String(index)));
}
