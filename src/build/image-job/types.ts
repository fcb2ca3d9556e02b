import type { Arch } from "../../image/index.ts";

export const jobKinds = ["create", "customize"] as const;
export type JobKind = (typeof jobKinds)[number];

/** As IMS names them. */
export const jobStatuses = [
  "creating",
  "fetching_image",
  "fetching_recipe",
  "waiting_for_repos",
  "building_image",
  "packaging_artifacts",
  "waiting_on_user",
  "error",
  "success",
] as const;
export type JobStatus = (typeof jobStatuses)[number];

/** A shell in the tree of an image, over ssh. */
export interface SshContainer {
  readonly name: string;
  /** Whether the tree is all that it sees. */
  readonly jail: boolean;
  readonly status: "pending" | "establishing" | "active" | "complete";
  /** Where it is reached, by the network that one comes from. */
  readonly connections: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
}

/** What an IMS client asks of us: an image made from a recipe, or one that is changed by hand. */
export interface ImageJob {
  /** UUID. */
  readonly id: string;
  readonly created: string;
  readonly kind: JobKind;
  readonly status: JobStatus;
  /** Id of the recipe, or of the image. */
  readonly artifact: string;
  /** Id of an SSH key. */
  readonly publicKey: string;
  /** Of the image that is made. */
  readonly name: string;
  readonly arch: Arch;
  readonly enableDebug: boolean;
  readonly requireDkms: boolean;
  /** GiB that the client thinks are needed on the disk and in memory; told, and not reserved. */
  readonly buildEnvSize: number;
  readonly memSize: number;
  /** What the client calls files that netkiln finds by itself; told, and not looked at. */
  readonly kernelFile: string;
  readonly initrdFile: string;
  readonly parametersFile: string;
  readonly sshContainers: readonly SshContainer[];
  /** The layers of the tree that its shell is in, the topmost first; they stay while the job is under way. */
  readonly tree?: readonly string[];
  /** What was done in its shell; without a layer nothing was. */
  readonly byHand?: { readonly layer?: string; readonly at: string };
  /** The build that makes its image. */
  readonly build?: string;
  readonly resultantImage?: string;
}
