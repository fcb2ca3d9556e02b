import { z } from "zod";
import type { GitLogin } from "../../access/index.ts";
import type { Catalog } from "../../catalog/index.ts";
import type { ConfigurationSessionStore } from "../../configuration/index.ts";
import { errorCodes, NetkilnError } from "../../lib/errors.ts";
import { answer, operation, type Answer, type Operation, type Service } from "../service.ts";
import { catalogConfigMaps } from "./config-maps.ts";
import { listOf, namespace, type KubernetesObject } from "./objects.ts";
import { podOf } from "./pods.ts";
import { parseSelector, type Selector } from "./selector.ts";

export interface KubernetesParts {
  readonly catalog: Catalog;
  readonly configurationSessions: ConfigurationSessionStore;
  /** What git clients are told to present themselves with. */
  readonly gitLogin: GitLogin;
}

/** A kind of objects that can be listed, or read by name. */
interface Resource {
  /** In the plural, as in paths. */
  readonly name: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly verbs: readonly ("get" | "list")[];
  /** All of them, or at least those that the labels ask for. */
  readonly objects: (labels: Selector) => Promise<readonly KubernetesObject[]>;
}

const querySchema = z.object({
  labelSelector: z.string().max(4000).optional(),
  fieldSelector: z.string().max(4000).optional(),
  watch: z.string().optional(),
});

type Query = z.infer<typeof querySchema>;

/** The few reads of Kubernetes' API that clients of CSM make beside those of its services, and kubectl before them. */
export function kubernetesService(parts: KubernetesParts): Service {
  const resources = resourcesOf(parts);
  return {
    name: "kubernetes",
    title: "Kubernetes: product catalog, git login and pods of sessions",
    bases: [""],
    operations: [...discovery(resources), ...resources.flatMap(reads)],
    failure,
  };
}

function resourcesOf({ catalog, configurationSessions, gitLogin }: KubernetesParts): readonly Resource[] {
  return [
    {
      name: "configmaps",
      kind: "ConfigMap",
      shortNames: ["cm"],
      verbs: ["get", "list"],
      objects: async () => catalogConfigMaps(await catalog.products()),
    },
    {
      name: "secrets",
      kind: "Secret",
      shortNames: [],
      verbs: ["get"],
      objects: async () => [gitSecret(gitLogin)],
    },
    {
      name: "pods",
      kind: "Pod",
      shortNames: ["po"],
      verbs: ["get", "list"],
      objects: async (labels) => {
        const sessions = await configurationSessions.list({ job: labels.equal("job-name") });
        return sessions.map(podOf).filter((pod) => pod !== undefined);
      },
    },
  ];
}

function gitSecret({ username, password }: GitLogin): KubernetesObject {
  const encoded = (text: string) => Buffer.from(text).toString("base64");
  const secret = {
    apiVersion: "v1" as const,
    kind: "Secret",
    metadata: { name: "vcs-user-credentials", namespace },
    type: "Opaque",
    data: { vcs_username: encoded(username), vcs_password: encoded(password) },
  };
  return secret;
}

/** What kubectl asks before everything else: which versions and kinds there are. */
function discovery(resources: readonly Resource[]): readonly Operation[] {
  const fixed = (id: string, path: string, body: object) =>
    operation({ id, method: "GET", path, run: async () => answer(200, body) });
  return [
    fixed("getCoreAPIVersions", "/api", { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] }),
    fixed("getAPIVersions", "/apis", { kind: "APIGroupList", apiVersion: "v1", groups: [] }),
    fixed("getCoreV1APIResources", "/api/v1", {
      kind: "APIResourceList",
      groupVersion: "v1",
      resources: resources.map(({ name, kind, shortNames, verbs }) => ({
        ...{ name, kind, shortNames, verbs },
        ...{ singularName: kind.toLowerCase(), namespaced: true },
      })),
    }),
  ];
}

function reads({ name, kind, verbs, objects }: Resource): readonly Operation[] {
  const path = `/api/v1/namespaces/{namespace}/${name}`;
  // As in a cluster: a namespace that is not there has nothing in it.
  const inNamespace = async (wanted: string | undefined, labels: Selector) =>
    wanted === namespace ? objects(labels) : [];
  const list = operation<Query, unknown>({
    id: `listCoreV1Namespaced${kind}`,
    method: "GET",
    path,
    query: querySchema,
    run: async ({ params, query }) => {
      if (query.watch !== undefined && query.watch !== "false" && query.watch !== "0") {
        throw new NetkilnError("invalid_input", "nothing can be watched here");
      }
      const labels = parseSelector(query.labelSelector);
      const fields = parseSelector(query.fieldSelector);
      const found = (await inNamespace(params["namespace"], labels)).filter(
        ({ metadata }) =>
          labels.matches(metadata.labels ?? {}) &&
          fields.matches({ "metadata.name": metadata.name, "metadata.namespace": metadata.namespace }),
      );
      return answer(200, listOf(kind, found));
    },
  });
  const read = operation({
    id: `readCoreV1Namespaced${kind}`,
    method: "GET",
    path: `${path}/{name}`,
    run: async ({ params }) => {
      const all = await inNamespace(params["namespace"], parseSelector());
      const found = all.find(({ metadata }) => metadata.name === params["name"]);
      if (found !== undefined) return answer(200, found);
      throw new NetkilnError("not_found", `${name} "${params["name"]}" not found`);
    },
  });
  return verbs.includes("list") ? [list, read] : [read];
}

const reasons: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  413: "RequestEntityTooLarge",
  503: "ServiceUnavailable",
};

/** Clients of Kubernetes read failures as objects of the kind Status. */
function failure({ code, message }: NetkilnError): Answer {
  const { status } = errorCodes[code];
  const reason = reasons[status] ?? "InternalError";
  return answer(status, {
    ...{ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" },
    ...{ message, reason, code: status },
  });
}
