import { parsePassthrough } from "../../../build/index.ts";
import type {
  Artifact,
  ConfigurationOptionStore,
  ConfigurationSession,
  ConfigurationSessionRequest,
  ConfigurationSessionStore,
  SessionFilter,
  SessionProgress,
} from "../../../configuration/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import type { z } from "zod";
import { answer, operation, type Operation } from "../../service.ts";
import { bareList, pageOf } from "./lists.ts";
import { print, readerOf, type Value, type Version } from "./members.ts";
import {
  pageSchema,
  sessionCreateMembers,
  sessionMembers,
  sessionPatchMembers,
  sessionQuerySchema,
  sessionRemovalSchema,
} from "./schema.ts";

export interface SessionsParts {
  readonly configurationSessions: ConfigurationSessionStore;
  readonly configurationOptions: ConfigurationOptionStore;
}

export function sessionOperations(parts: SessionsParts, version: Version): Operation[] {
  const path = `/${version}/sessions`;
  return [...setOperations(parts, version, path), ...singleOperations(parts, version, `${path}/{session_name}`)];
}

function setOperations(parts: SessionsParts, version: Version, path: string): Operation[] {
  const { configurationSessions: sessions, configurationOptions } = parts;
  return [
    operation({
      id: `get_sessions_${version}`,
      method: "GET",
      path,
      query: sessionQuerySchema.and(pageSchema),
      run: async ({ query }) => {
        const { limit: _, after_id: __, tags, ...filters } = query;
        const { defaultPageSize } = await configurationOptions.get();
        const page = await pageOf(version === "v3" ? query : {}, defaultPageSize, (limit, after) =>
          sessions.list({ ...toFilter(query, version), limit, after }),
        );
        const shownAll = (all: readonly ConfigurationSession[]) => all.map((session) => shown(session, version));
        if (version === "v2") return answer(200, shownAll(bareList(page)));
        const next = page.next(({ name }) => name, {
          ...filters,
          tags: tags?.map((pair) => pair.join("=")).join(","),
        });
        return answer(200, { sessions: shownAll(page.items), next });
      },
    }),
    operation({
      id: `create_session_${version}`,
      method: "POST",
      path,
      body: readerOf(sessionCreateMembers, version),
      run: async ({ body }) => {
        const { defaultAnsibleConfig } = await configurationOptions.get();
        const request = toRequest(body, defaultAnsibleConfig);
        parsePassthrough(request.ansible.passthrough ?? "");
        return answer(version === "v3" ? 201 : 200, shown(await sessions.create(request), version));
      },
    }),
    operation({
      id: `delete_sessions_${version}`,
      method: "DELETE",
      path,
      query: sessionRemovalSchema,
      run: async ({ query }) => {
        const names = await sessions.removeWhere(toFilter(query, version));
        return version === "v3" ? answer(200, { session_ids: names }) : answer(204);
      },
    }),
  ];
}

function singleOperations(parts: SessionsParts, version: Version, path: string): Operation[] {
  const { configurationSessions: sessions } = parts;
  const nameOf = (params: Readonly<Record<string, string>>) => params["session_name"] ?? "";
  const missing = (name: string) => new NetkilnError("not_found", `Session ${name} could not be found`);
  return [
    operation({
      id: `get_session_${version}`,
      method: "GET",
      path,
      run: async ({ params }) => {
        const session = await sessions.find(nameOf(params));
        if (session === undefined) throw missing(nameOf(params));
        return answer(200, shown(session, version));
      },
    }),
    operation({
      id: `patch_session_${version}`,
      method: "PATCH",
      path,
      // Nothing but the status changes after a session was made.
      body: readerOf(sessionPatchMembers, version),
      run: async ({ params, body }) => {
        const session = await sessions.report(nameOf(params), toProgress(body), { keepJob: version === "v3" });
        return answer(200, shown(session, version));
      },
    }),
    operation({
      id: `delete_session_${version}`,
      method: "DELETE",
      path,
      run: async ({ params }) => {
        if (!(await sessions.remove(nameOf(params)))) throw missing(nameOf(params));
        return answer(204);
      },
    }),
  ];
}

/** `age` is what v2 called `min_age` first. */
function toFilter(query: z.output<typeof sessionQuerySchema>, version: Version): SessionFilter {
  const { age, min_age, max_age, status, succeeded, name_contains, tags } = query;
  return {
    minAge: min_age ?? (version === "v2" ? age : undefined),
    maxAge: max_age,
    nameContains: name_contains,
    ...{ status, succeeded, tags },
  };
}

function toRequest(
  given: Value<typeof sessionCreateMembers>,
  defaultAnsibleConfig: string,
): ConfigurationSessionRequest {
  const { ansible_limit: limit, ansible_passthrough: passthrough, target = {} } = given;
  return {
    name: given.name ?? "",
    configuration: given.configuration_name ?? "",
    configurationLimit: given.configuration_limit ?? "",
    ansible: {
      config: given.ansible_config || defaultAnsibleConfig,
      verbosity: given.ansible_verbosity ?? 0,
      ...(limit !== undefined && { limit }),
      ...(passthrough !== undefined && { passthrough }),
    },
    target: {
      definition: target.definition ?? "dynamic",
      ...(target.groups !== undefined && {
        groups: target.groups.map(({ name = "", members = [] }) => ({ name, members })),
      }),
      ...(target.image_map !== undefined && {
        imageMap: target.image_map.map(({ source_id = "", result_name = "" }) => ({
          sourceId: source_id,
          resultName: result_name,
        })),
      }),
    },
    tags: given.tags ?? {},
    debugOnFailure: given.debug_on_failure ?? false,
  };
}

function toProgress({ status = {} }: Value<typeof sessionPatchMembers>): SessionProgress {
  const { job, ims_job, start_time, completion_time, ...session } = status.session ?? {};
  return {
    ...(session.status && { status: session.status }),
    ...(session.succeeded && { succeeded: session.succeeded }),
    ...(start_time && { startTime: withZone(start_time) }),
    ...(completion_time && { completionTime: withZone(completion_time) }),
    ...(job && { job }),
    ...(ims_job && { imsJob: ims_job }),
    artifacts: (status.artifacts ?? []).map(({ image_id = "", result_id = "", type = "" }): Artifact => ({
      imageId: image_id,
      resultId: result_id,
      type,
    })),
  };
}

function shown(session: ConfigurationSession, version: Version): Record<string, unknown> {
  return print(sessionMembers, toWire(session), version);
}

function toWire(session: ConfigurationSession): Value<typeof sessionMembers> {
  const { name, configuration, configurationLimit, ansible, target, status, succeeded, imsJob } = session;
  return {
    name,
    configuration: { name: configuration, limit: configurationLimit },
    ansible: {
      config: ansible.config,
      limit: ansible.limit ?? null,
      verbosity: ansible.verbosity,
      passthrough: ansible.passthrough ?? null,
    },
    target: {
      definition: target.definition,
      groups: target.groups ?? [],
      image_map: (target.imageMap ?? []).map(({ sourceId, resultName }) => ({
        source_id: sourceId,
        result_name: resultName,
      })),
    },
    status: {
      artifacts: session.artifacts.map(({ imageId, resultId, type }) => ({
        image_id: imageId,
        result_id: resultId,
        type,
      })),
      session: {
        ...(session.job !== undefined && { job: session.job }),
        ...(imsJob !== undefined && { ims_job: imsJob }),
        ...{ status, succeeded },
        start_time: withoutZone(session.startTime),
        ...(session.completionTime !== undefined && { completion_time: withoutZone(session.completionTime) }),
      },
    },
    tags: session.tags,
    debug_on_failure: session.debugOnFailure,
    ...logsOf(session),
  };
}

/** What Ansible says, or the log of the build that the session waits for. */
function logsOf({ name, imsJob, run }: ConfigurationSession): { logs?: string } {
  if (run !== undefined) return { logs: `/apis/netkiln/v1/configuration-sessions/${name}/log` };
  return imsJob === undefined ? {} : { logs: `/apis/netkiln/v1/builds/${imsJob}/log` };
}

/** CFS's times of sessions are UTC and do not say so; sat reads no others. */
function withoutZone(time: string): string {
  return time.slice(0, 19);
}

function withZone(time: string): string {
  return `${time.slice(0, 19)}Z`;
}
