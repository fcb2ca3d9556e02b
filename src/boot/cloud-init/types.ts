/** What holds for every node of the cluster, as an operator sets it. */
export interface ClusterDefaults {
  readonly cloudProvider?: string | undefined;
  readonly region?: string | undefined;
  readonly availabilityZone?: string | undefined;
  readonly clusterName?: string | undefined;
  readonly publicKeys?: readonly string[] | undefined;
  /** Where nodes reach the groups' files, without a slash at its end. */
  readonly baseUrl?: string | undefined;
  readonly bootSubnet?: string | undefined;
  readonly wgSubnet?: string | undefined;
  /** Begins the nodes' host names, before the nid. */
  readonly shortName?: string | undefined;
  /** Digits of the nid in host names. */
  readonly nidLength?: number | undefined;
}

/** What an operator says of one node; it wins over the cluster's defaults. */
export interface InstanceInfo {
  readonly instanceId?: string | undefined;
  readonly localHostname?: string | undefined;
  readonly hostname?: string | undefined;
  readonly clusterName?: string | undefined;
  readonly region?: string | undefined;
  readonly availabilityZone?: string | undefined;
  readonly cloudProvider?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly baseUrl?: string | undefined;
  readonly publicKeys?: readonly string[] | undefined;
}

/** A part of the user-data, in the encoding in which it was given. */
export interface GroupFile {
  readonly content: string;
  readonly filename: string;
  readonly encoding: "plain" | "base64";
}

/** What the members of a group of the inventory get. Who is a member, the inventory says. */
export interface GroupData {
  readonly name: string;
  readonly description?: string | undefined;
  readonly metaData?: Readonly<Record<string, unknown>> | undefined;
  readonly file?: GroupFile | undefined;
  readonly versions?: Readonly<Record<string, string>> | undefined;
}

/** What a node says of itself when cloud-init is done. */
export type PhoneHome = Readonly<
  Partial<
    Record<
      "pub_key_dsa" | "pub_key_rsa" | "pub_key_ecdsa" | "pub_key_ed25519" | "instance_id" | "hostname" | "fqdn",
      string
    >
  >
>;
