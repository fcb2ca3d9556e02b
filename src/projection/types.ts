import type { Image } from "../image/index.ts";

export interface RootRequest {
  readonly image: Image;
  /** s3://boot-images/IMAGE/rootfs; the printer of the boot script turns it into what the node can fetch. */
  readonly rootUrl: string;
  /** `rootfs_provider_passthrough` of the boot set, for the provider to read. */
  readonly passthrough: string;
  /** The kernel parameters that stand before; what an operator said there is not said again. */
  readonly given: string;
}

/** How a node comes to its root file system. */
export interface RootProvider {
  /** Kernel parameters, separated by spaces. Throws `invalid_input` for a passthrough that it cannot read. */
  rootArguments(request: RootRequest): string;
}
