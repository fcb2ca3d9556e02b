import type { NetkilnError } from "../../../lib/errors.ts";
import { answer, detailedProblem, operation, type Operation, type Service } from "../../service.ts";
import { componentOperations, type ComponentsParts } from "./components.ts";
import { optionOperations } from "./options.ts";
import { sessionOperations, type SessionsParts } from "./sessions.ts";
import { templateOperations, type TemplatesParts } from "./templates.ts";

export interface BosParts extends TemplatesParts, SessionsParts, ComponentsParts {}

/** The Boot Orchestration Service, version 2: session templates, sessions and nodes as CSM sees them. */
export function bosService(parts: BosParts): Service {
  return {
    name: "bos",
    title: "Boot Orchestration Service",
    bases: ["/apis/bos"],
    problem: worded,
    operations: [
      ...aboutOperations(parts),
      ...templateOperations(parts),
      ...sessionOperations(parts),
      ...componentOperations(parts),
      ...optionOperations(parts.bootOptions),
    ],
  };
}

/** Titles as the contract has them. What changes while it is asked about is refused, and that is a conflict here. */
const titles: Readonly<Partial<Record<NetkilnError["code"], readonly [status: number, title: string]>>> = {
  not_found: [404, "The resource was not found"],
  conflict: [409, "The resource to be created already exists"],
  refused: [409, "The update was not allowed due to a conflict"],
};

function worded(error: NetkilnError) {
  const { detail, ...plain } = detailedProblem(error);
  const [status, title] = titles[error.code] ?? [plain.status, plain.title];
  return { status, title, detail };
}

/** The release of BOS that this speaks like. */
const spokenVersion = {
  major: "2",
  minor: "50",
  patch: "0",
  links: [
    { rel: "self", href: "/apis/bos/v2/version" },
    { rel: "versions", href: "/apis/bos/v2" },
  ],
};

function aboutOperations({ bootOptions }: BosParts): Operation[] {
  const about = (id: string, path: string, body: unknown) =>
    operation({ id, method: "GET", path, run: async () => answer(200, body) });
  return [
    about("root_get", "/", [spokenVersion]),
    about("root_get", "", [spokenVersion]),
    about("get_v2", "/v2", spokenVersion),
    about("get_version_v2", "/v2/version", spokenVersion),
    operation({
      id: "get_v2_healthz",
      method: "GET",
      path: "/v2/healthz",
      run: async () => {
        // Fails when the database cannot be read.
        await bootOptions.get();
        return answer(200, { dbStatus: "ok", apiStatus: "ok" });
      },
    }),
  ];
}
