import { answer, detailedProblem, operation, type Operation, type Service } from "../../service.ts";
import { componentOperations, type ComponentsParts } from "./components.ts";
import { configurationOperations, type ConfigurationsParts } from "./configurations.ts";
import { optionOperations } from "./options.ts";
import { sessionOperations, type SessionsParts } from "./sessions.ts";
import { sourceOperations } from "./sources.ts";

export interface CfsParts extends ConfigurationsParts, ComponentsParts, SessionsParts {}

/** The release of CFS that this speaks like; sat asks for image maps from 1.12.0 on. */
const spokenVersion = { major: "1", minor: "31", patch: "1" };

/** The Configuration Framework Service, versions 2 and 3. */
export function cfsService(parts: CfsParts): Service {
  return {
    name: "cfs",
    title: "Configuration Framework Service",
    bases: ["/apis/cfs"],
    problem: detailedProblem,
    operations: [
      ...aboutOperations(),
      ...(["v2", "v3"] as const).flatMap((version) => [
        ...optionOperations(parts.configurationOptions, version),
        ...configurationOperations(parts, version),
        ...componentOperations(parts, version),
        ...sessionOperations(parts, version),
      ]),
      ...sourceOperations(parts),
    ],
  };
}

function aboutOperations(): Operation[] {
  const version = (id: string, path: string) =>
    operation({ id, method: "GET", path, tenants: true, run: async () => answer(200, spokenVersion) });
  return [
    version("get_version", "/"),
    version("get_version", ""),
    version("get_versions", "/versions"),
    version("get_versions_v2", "/v2"),
    version("get_versions_v3", "/v3"),
    operation({
      id: "get_healthz",
      method: "GET",
      path: "/healthz",
      // There is neither a database nor a bus apart from this process.
      run: async () => answer(200, { db_status: "ok", kafka_status: "ok" }),
    }),
  ];
}
