import { NetkilnError } from "../../../lib/errors.ts";
import { parseAs } from "../../../lib/parse.ts";
import { canonicalXname, typeOfXname } from "../../../node/index.ts";
import {
  nameSchema,
  requireKeepable,
  validateTemplate,
  type BootOptionStore,
  type BootSet,
  type FindImage,
  type SessionStore,
  type SessionTemplate,
} from "../../../orchestration/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { templatePatchSchema, templateSchema, type WireTemplate, type WireTemplatePatch } from "./schema.ts";

export interface TemplatesParts {
  readonly sessions: SessionStore;
  readonly bootOptions: BootOptionStore;
  /** An image that may be booted. */
  readonly findBootable: FindImage;
}

const path = "/v2/sessiontemplates";

export function templateOperations({ sessions, bootOptions, findBootable }: TemplatesParts): Operation[] {
  type Asked = { params: Readonly<Record<string, string>> };
  const nameOf = ({ params }: Asked) => params["session_template_id"] ?? "";
  const missing = (name: string) => new NetkilnError("not_found", `Session template '${name}' could not be found`);
  const find = async (asked: Asked): Promise<SessionTemplate> => {
    const template = await sessions.getTemplate(nameOf(asked));
    if (template === undefined) throw missing(nameOf(asked));
    return template;
  };
  const keep = async (template: SessionTemplate) => {
    const { reject_nids } = await bootOptions.get();
    requireKeepable(template, { rejectNids: reject_nids });
    await sessions.putTemplate(template);
    return answer(200, print(template));
  };
  return [
    operation({
      id: "get_v2_sessiontemplates",
      method: "GET",
      path,
      run: async () =>
        streamList(
          async (page) => sessions.listTemplates(page),
          ({ name }) => name,
          print,
        ),
    }),
    operation({
      id: "get_v2_sessiontemplate",
      method: "GET",
      path: `${path}/{session_template_id}`,
      run: async (asked) => answer(200, print(await find(asked))),
    }),
    operation({
      id: "put_v2_sessiontemplate",
      method: "PUT",
      path: `${path}/{session_template_id}`,
      body: templateSchema,
      run: async (asked) => {
        const name = parseAs(nameSchema, nameOf(asked), "the template's name");
        return keep(toTemplate(name, asked.body));
      },
    }),
    operation({
      id: "patch_v2_sessiontemplate",
      method: "PATCH",
      path: `${path}/{session_template_id}`,
      body: templatePatchSchema,
      run: async (asked) => keep(merged(await find(asked), asked.body)),
    }),
    operation({
      id: "delete_v2_sessiontemplate",
      method: "DELETE",
      path: `${path}/{session_template_id}`,
      run: async (asked) => {
        const { name } = await find(asked);
        if (!(await sessions.removeTemplate(name))) throw missing(name);
        return answer(204);
      },
    }),
    operation({
      id: "validate_v2_sessiontemplate",
      method: "GET",
      path: "/v2/sessiontemplatesvalid/{session_template_id}",
      run: async (asked) => {
        const { reject_nids: rejectNids } = await bootOptions.get();
        const rules = { rejectNids, findImage: findBootable };
        // To boot asks most of a template.
        const { errors, warnings } = await validateTemplate(await find(asked), "boot", rules);
        const found = errors.length > 0 ? errors : warnings;
        return answer(200, found.length === 0 ? "Valid" : found.join("; "));
      },
    }),
    operation({
      id: "get_v2_sessiontemplatetemplate",
      method: "GET",
      path: "/v2/sessiontemplatetemplate",
      run: async () => answer(200, exampleTemplate),
    }),
  ];
}

/** BOS names the tenant of every template, and that there is none. */
function print(template: SessionTemplate) {
  return { ...template, tenant: "" };
}

const exampleTemplate = {
  name: "name-your-template",
  enable_cfs: true,
  cfs: { configuration: "your-configuration" },
  boot_sets: {
    "name-your-boot-set": {
      type: "s3",
      path: "s3://boot-images/your-image-id/manifest.json",
      etag: "your-image-etag",
      arch: "X86",
      kernel_parameters: "your-kernel-parameters",
      node_list: ["x1000c0s0b0n0", "x1000c0s1b0n0"],
      rootfs_provider: "live",
    },
  },
};

/** As it was put, with the architecture that is meant when none is named. */
function toTemplate(name: string, { name: said = name, description, enable_cfs, cfs, boot_sets }: WireTemplate) {
  if (said !== name)
    throw new NetkilnError("invalid_input", `the path names the template ${name}, but the body ${said}`);
  return {
    name,
    ...(description !== undefined && { description }),
    ...(enable_cfs !== undefined && { enable_cfs }),
    ...(cfs !== undefined && Object.keys(cfs).length > 0 && { cfs }),
    boot_sets: Object.fromEntries(Object.entries(boot_sets).map(([key, set]) => [key, toBootSet(set)])),
  };
}

function toBootSet({ name: _name, node_list, ...set }: WireTemplate["boot_sets"][string]): BootSet {
  return {
    ...set,
    arch: set.arch ?? "X86",
    ...(node_list !== undefined && { node_list: node_list.map(canonicalNode) }),
  };
}

function canonicalNode(name: string): string {
  const xname = canonicalXname(name);
  return typeOfXname(xname) === undefined ? name : xname;
}

/** Boot sets and their members that are not named stay. */
function merged(before: SessionTemplate, { boot_sets = {}, cfs, ...change }: WireTemplatePatch): SessionTemplate {
  const sets = Object.entries(boot_sets).map(([key, set]) => {
    const known = before.boot_sets[key];
    return [key, { ...known, ...toBootSet({ ...set, arch: set.arch ?? known?.arch }) }] as const;
  });
  return {
    ...before,
    ...change,
    ...(cfs !== undefined && { cfs: { ...before.cfs, ...cfs } }),
    boot_sets: { ...before.boot_sets, ...Object.fromEntries(sets) },
  };
}
