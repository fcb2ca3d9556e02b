/** What a name of boot parameters means; a tag is `Default` or a role, and stands among the hosts as in BSS. */
export type EntryKind = "host" | "mac" | "nid";

/** What is to be booted. Links of the form s3://boot-images/IMAGE/FILE are files of our images. */
export interface BootParameters {
  readonly params: string;
  /** Empty when not set; then nothing can be booted with it. */
  readonly kernel: string;
  readonly initrd: string;
  /** meta-data, user-data, phone-home: kept as they came. */
  readonly cloudInit: Readonly<Record<string, unknown>> | undefined;
}

export interface BootEntry extends BootParameters {
  readonly kind: EntryKind;
  /** An xname, an alias, `Default`, a role; a canonical MAC; or a nid in decimal. */
  readonly name: string;
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
