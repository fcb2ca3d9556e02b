/** What a name of boot parameters means; a tag is `Default` or a role, and stands among the hosts as in BSS. */
export type EntryKind = "host" | "mac" | "nid";

export interface EntryKey {
  readonly kind: EntryKind;
  /** An xname, an alias, a tag; a canonical MAC; or a nid in decimal. */
  readonly name: string;
}

/** What is to be booted. Links of the form s3://boot-images/IMAGE/FILE are files of our images. */
export interface BootParameters {
  readonly params: string;
  /** Empty when not set; then nothing can be booted with it. */
  readonly kernel: string;
  readonly initrd: string;
  /** meta-data, user-data, phone-home: kept as they came. */
  readonly cloudInit: Readonly<Record<string, unknown>> | undefined;
}

export interface BootEntry extends BootParameters, EntryKey {
  /** UUID of the request that wrote the entry; it comes back with the node as `bss_referral_token=`. */
  readonly referralToken: string;
}

/** Names that one request is about. */
export interface EntryNames {
  readonly hosts: readonly string[];
  readonly macs: readonly string[];
  readonly nids: readonly number[];
}

export const defaultTag = "Default";

/** Behind it stands the architecture, in iPXE's words, of nodes that are not known. */
export const unknownPrefix = "Unknown-";

export type BootFileKind = "kernel" | "initrd";

/** A kernel or initrd as BSS lists them beside the hosts; `params` go with it wherever it is booted. */
export interface BootFile {
  readonly kind: BootFileKind;
  readonly link: string;
  readonly params: string;
}
