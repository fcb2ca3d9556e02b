/** Objects of Kubernetes' API as its clients read them (core/v1), as far as they are served here. */

export interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string;
}

/** Anything that has a name in a namespace. */
export interface KubernetesObject {
  readonly apiVersion: "v1";
  readonly kind: string;
  readonly metadata: Metadata;
}

/** Where CSM keeps all of what is served here. */
export const namespace = "services";

export function listOf(kind: string, items: readonly KubernetesObject[]) {
  return { apiVersion: "v1", kind: `${kind}List`, metadata: { resourceVersion: "1" }, items };
}
