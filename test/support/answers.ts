/** What the command line prints with --json, as far as tests look at it; written down here, not taken from the product. */

export interface Digests {
  readonly sha256: string;
  readonly md5: string;
  readonly size: number;
}

export interface Image {
  readonly id: string;
  readonly name: string;
  readonly buildId: string;
  readonly chain: string;
  readonly layers: readonly string[];
  readonly artifacts: {
    readonly rootfs: Digests;
    readonly kernel?: Digests;
    readonly initrd?: Digests;
    readonly manifest: Digests;
  };
  readonly commits: readonly { readonly playbook: string; readonly commit: string }[];
}

export interface Build {
  readonly id: string;
  readonly image: string;
  readonly status: string;
  readonly steps: readonly { readonly title: string; readonly state: string }[];
  readonly error?: { readonly message: string };
}

export interface Plan {
  readonly images: readonly { readonly steps: readonly { readonly title: string; readonly state: string }[] }[];
}
