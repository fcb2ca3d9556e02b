import type { z } from "zod";
import { clock, timestamp } from "../../../lib/clock.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import {
  ageInMs,
  looksLikeNid,
  namesInLimit,
  validateTemplate,
  type BootOptionStore,
  type FindImage,
  type Session,
  type SessionFilter,
  type SessionProgress,
  type SessionStore,
} from "../../../orchestration/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { sessionCreateSchema, sessionsQuerySchema, sessionUpdateSchema } from "./schema.ts";

export interface SessionsParts {
  readonly sessions: SessionStore;
  readonly bootOptions: BootOptionStore;
  /** An image that may be booted. */
  readonly findBootable: FindImage;
  /** Has the reconciler look at once. */
  readonly wake: () => void;
}

type Wanted = z.output<typeof sessionCreateSchema>;

const path = "/v2/sessions";

export function sessionOperations(parts: SessionsParts): Operation[] {
  const { sessions, wake } = parts;
  return [
    operation({
      id: "post_v2_session",
      method: "POST",
      path,
      body: sessionCreateSchema,
      run: async ({ body }) => {
        await requirePossible(parts, body);
        const session = await sessions.createSession({ ...body, options: {} });
        wake();
        return answer(201, printSession(session));
      },
    }),
    operation({
      id: "get_v2_sessions",
      method: "GET",
      path,
      query: sessionsQuerySchema,
      run: async ({ query }) =>
        streamList(
          async (page) => sessions.listSessions({ ...toFilter(query), ...page }),
          ({ name }) => name,
          printSession,
        ),
    }),
    operation({
      id: "delete_v2_sessions",
      method: "DELETE",
      path,
      query: sessionsQuerySchema,
      run: async ({ query }) => {
        // Those that are under way go only when they are asked for.
        await sessions.removeSessions({ ...toFilter(query), status: query.status ?? "complete" });
        return answer(204);
      },
    }),
    ...singleOperations(parts),
  ];
}

function singleOperations({ sessions }: SessionsParts): Operation[] {
  type Asked = { params: Readonly<Record<string, string>> };
  const find = async ({ params }: Asked): Promise<Session> => {
    const name = params["session_id"] ?? "";
    const session = await sessions.getSession(name);
    if (session === undefined) throw new NetkilnError("not_found", `Session '${name}' could not be found`);
    return session;
  };
  const one = `${path}/{session_id}`;
  return [
    operation({
      id: "get_v2_session",
      method: "GET",
      path: one,
      run: async (asked) => answer(200, printSession(await find(asked))),
    }),
    operation({
      id: "patch_v2_session",
      method: "PATCH",
      path: one,
      body: sessionUpdateSchema,
      run: async (asked) => {
        const before = await find(asked);
        const { components, status } = asked.body;
        const after = await sessions.changeSession(before.name, { components, ...status });
        return answer(200, printSession(after ?? before));
      },
    }),
    operation({
      id: "delete_v2_session",
      method: "DELETE",
      path: one,
      run: async (asked) => {
        await sessions.removeSession((await find(asked)).name);
        return answer(204);
      },
    }),
    operation({
      id: "get_v2_session_status",
      method: "GET",
      path: `${one}/status`,
      run: async (asked) => {
        const session = await find(asked);
        return answer(200, printStatus(session, await sessions.progress(session)));
      },
    }),
    operation({
      id: "save_v2_session_status",
      method: "POST",
      path: `${one}/status`,
      run: async (asked) => {
        const session = await find(asked);
        await sessions.saveProgress(session.name);
        return answer(200, printSession(session));
      },
    }),
  ];
}

/** Throws `invalid_input` for a session that could not run. */
async function requirePossible({ sessions, bootOptions, findBootable }: SessionsParts, wanted: Wanted): Promise<void> {
  const { session_limit_required, reject_nids: rejectNids } = await bootOptions.get();
  const { template_name, limit, operation } = wanted;
  if (session_limit_required && limit === "") {
    throw new NetkilnError("invalid_input", "a session needs a limit: the option session_limit_required is set");
  }
  const nids = namesInLimit(limit).filter(looksLikeNid);
  if (rejectNids && nids.length > 0) {
    throw new NetkilnError("invalid_input", `the limit names the NID ${nids[0]}: the option reject_nids is set`);
  }
  const template = await sessions.getTemplate(template_name);
  if (template === undefined) {
    throw new NetkilnError("invalid_input", `Session Template Name invalid: ${template_name}`);
  }
  const { errors } = await validateTemplate(template, operation, { rejectNids, findImage: findBootable });
  if (errors.length > 0) throw new NetkilnError("invalid_input", errors.join("; "));
}

function toFilter({ min_age, max_age, status }: z.output<typeof sessionsQuerySchema>): SessionFilter {
  const ago = (age: string | undefined) =>
    age === undefined ? undefined : timestamp(new Date(clock.now().getTime() - ageInMs(age)));
  return { status, until: ago(min_age), since: ago(max_age) };
}

function printSession(session: Session) {
  return {
    name: session.name,
    operation: session.operation,
    template_name: session.template_name,
    limit: session.limit,
    stage: session.stage,
    include_disabled: session.include_disabled,
    components: session.components,
    status: {
      status: session.status,
      start_time: session.start_time,
      end_time: session.end_time ?? null,
      error: session.error ?? null,
    },
  };
}

function printStatus({ status, start_time, end_time }: Session, progress: SessionProgress) {
  const { managed, successful, failed, staged, phases, errors } = progress;
  const percent = (count = 0) => (managed === 0 ? 0 : Math.round((count * 10_000) / managed) / 100);
  const until = end_time === undefined ? clock.now().getTime() : Date.parse(end_time);
  return {
    status,
    managed_components_count: managed,
    phases: {
      percent_complete: percent(successful + failed),
      percent_powering_on: percent(phases.powering_on),
      percent_powering_off: percent(phases.powering_off),
      percent_configuring: percent(phases.configuring),
    },
    percent_successful: percent(successful),
    percent_failed: percent(failed),
    percent_staged: percent(staged),
    error_summary: Object.fromEntries(
      errors.map(({ message, count, first }) => [
        message,
        { count, list: `${first.join(",")}${count > first.length ? "..." : ""}` },
      ]),
    ),
    timing: {
      start_time,
      end_time: end_time ?? null,
      duration: durationOf(Math.max(0, Math.floor((until - Date.parse(start_time)) / 1000))),
    },
  };
}

/** As Python prints one: `0:05:12`, `1 day, 2:00:00`. */
function durationOf(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const two = (count: number) => String(count).padStart(2, "0");
  const time = `${Math.floor(seconds / 3600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days === 0 ? time : `${days} day${days === 1 ? "" : "s"}, ${time}`;
}
