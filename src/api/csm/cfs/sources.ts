import type { ConfigurationOptionStore, Source, SourceContent, SourceStore } from "../../../configuration/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { pageOf } from "./lists.ts";
import { print, readerOf, type Value } from "./members.ts";
import {
  inUseSchema,
  pageSchema,
  sourceCreateMembers,
  sourceMembers,
  sourceRestoreMembers,
  sourceUpdateMembers,
} from "./schema.ts";

export interface SourcesParts {
  readonly sources: SourceStore;
  readonly configurationOptions: ConfigurationOptionStore;
}

const path = "/v3/sources";
const one = `${path}/{source_id}`;

export function sourceOperations({ sources, configurationOptions }: SourcesParts): Operation[] {
  return [
    operation({
      id: "get_sources_v3",
      method: "GET",
      path,
      query: pageSchema.extend(inUseSchema.shape),
      run: async ({ query }) => {
        const { in_use } = query;
        const { defaultPageSize } = await configurationOptions.get();
        const page = await pageOf(query, defaultPageSize, (limit, after) =>
          sources.list({ limit, after, inUse: in_use }),
        );
        return answer(200, { sources: page.items.map(shown), next: page.next(({ name }) => name, { in_use }) });
      },
    }),
    operation({
      id: "post_source_v3",
      method: "POST",
      path,
      body: readerOf(sourceCreateMembers, "v3"),
      run: async ({ body }) => {
        const content = toContent(body);
        return answer(201, shown(await sources.create(body.name ?? content.cloneUrl, content)));
      },
    }),
    operation({
      id: "get_source_v3",
      method: "GET",
      path: one,
      run: async ({ params }) => {
        const name = nameOf(params);
        const source = await sources.find(name);
        if (source === undefined) throw new NetkilnError("not_found", `Source ${name} could not be found`);
        return answer(200, shown(source));
      },
    }),
    operation({
      id: "patch_source_v3",
      method: "PATCH",
      path: one,
      body: readerOf(sourceUpdateMembers, "v3"),
      run: async ({ params, body }) => {
        const { cloneUrl, ...content } = toContent(body);
        const change = { ...content, ...(body.clone_url !== undefined && { cloneUrl }) };
        return answer(200, shown(await sources.change(nameOf(params), change)));
      },
    }),
    operation({
      id: "restore_source_v3",
      method: "POST",
      path: one,
      body: readerOf(sourceRestoreMembers, "v3"),
      run: async ({ params, body }) => answer(201, shown(await sources.create(nameOf(params), toContent(body)))),
    }),
    operation({
      id: "delete_source_v3",
      method: "DELETE",
      path: one,
      run: async ({ params }) => {
        await sources.remove(nameOf(params));
        return answer(204);
      },
    }),
  ];
}

/** A source is often named after its URL, which clients quote once more than the path needs. */
function nameOf(params: Readonly<Record<string, string>>): string {
  const name = params["source_id"] ?? "";
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

type Given = Value<typeof sourceCreateMembers> | Value<typeof sourceUpdateMembers> | Value<typeof sourceRestoreMembers>;

function toContent({ description, clone_url = "", ca_cert, credentials = {} }: Given): SourceContent {
  const { username, password } = credentials as Partial<Record<"username" | "password", string>>;
  const secretName = "secret_name" in credentials ? credentials.secret_name : undefined;
  if (((username ?? "") === "") !== ((password ?? "") === "")) {
    throw new NetkilnError(
      "invalid_input",
      "Both username and password must be provided for password authentication credentials",
    );
  }
  return {
    cloneUrl: clone_url,
    ...(description !== undefined && { description }),
    ...(ca_cert !== undefined && { caCert: toCert(ca_cert) }),
    ...(username && password && { login: { username, password } }),
    ...(secretName !== undefined && { secretName }),
  };
}

function toCert(cert: NonNullable<Given["ca_cert"]> | null): NonNullable<Source["caCert"]> | null {
  if (cert === null) return null;
  const { configmap_name = "", configmap_namespace } = cert;
  return {
    configmapName: configmap_name,
    ...(configmap_namespace !== undefined && { configmapNamespace: configmap_namespace }),
  };
}

function shown({ name, description, lastUpdated, cloneUrl, credentials, caCert }: Source) {
  const value: Value<typeof sourceMembers> = {
    name,
    ...(description !== undefined && { description }),
    last_updated: lastUpdated,
    clone_url: cloneUrl,
    ...(credentials !== undefined && {
      credentials: { authentication_method: credentials.authenticationMethod, secret_name: credentials.secretName },
    }),
    ...(caCert != null && {
      ca_cert: {
        configmap_name: caCert.configmapName,
        ...(caCert.configmapNamespace !== undefined && { configmap_namespace: caCert.configmapNamespace }),
      },
    }),
  };
  return print(sourceMembers, value, "v3");
}
