import type {
  BootEntry,
  BootEntryStore,
  BootFile,
  BootFileStore,
  BootParameters,
  EntryKind,
  EntryNames,
} from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Answer, type Operation } from "../../service.ts";
import { bootParamsSchema, filterQuerySchema, newBootParamsSchema, type BootParams } from "./schema.ts";

export interface ParameterParts {
  readonly entries: BootEntryStore;
  readonly bootFiles: BootFileStore;
}

export interface ParameterDialect {
  /** Kernels and initrds are things of their own, which the list of everything shows and a DELETE can name. */
  readonly hasFiles: boolean;
}

const path = "/boot/v1/bootparameters";

export function parameterOperations({ entries, bootFiles }: ParameterParts, dialect: ParameterDialect): Operation[] {
  return [
    operation({
      id: `GET ${path}`,
      method: "GET",
      path,
      query: filterQuerySchema,
      // As `cray bss` sends it.
      body: bootParamsSchema.optional(),
      run: async ({ query, body }) => {
        const names = together(query, body);
        if (!isSomething(names) && !namesFile(body)) {
          return streamList(
            pagesOf(entries),
            placeOf,
            printEntry,
            undefined,
            dialect.hasFiles ? (await bootFiles.list()).map(printFile) : [],
          );
        }
        const files = body === undefined ? [] : await filesOf(bootFiles, body);
        const found = [...files.map(printFile), ...(await entries.find(names)).map(printEntry)];
        if (found.length > 0) return answer(200, found);
        throw new NetkilnError("not_found", "there are no boot parameters of that name");
      },
    }),
    operation({
      id: `POST ${path}`,
      method: "POST",
      path,
      body: newBootParamsSchema,
      run: async ({ body }) => {
        if (!isSomething(body) && namesFile(body)) {
          const [known] = await filesOf(bootFiles, body);
          if (known !== undefined) throw new NetkilnError("invalid_input", `${known.link} is there already`);
          await putFiles(bootFiles, body);
          return answer(201);
        }
        return withToken(201, await entries.create(body, toParameters(body)).catch(asBadRequest));
      },
    }),
    operation({
      id: `PUT ${path}`,
      method: "PUT",
      path,
      body: newBootParamsSchema,
      run: async ({ body }) => {
        if (isSomething(body) || !namesFile(body)) return withToken(200, await entries.put(body, toParameters(body)));
        await putFiles(bootFiles, body);
        return answer(200);
      },
    }),
    operation({
      id: `PATCH ${path}`,
      method: "PATCH",
      path,
      body: newBootParamsSchema,
      run: async ({ body }) => {
        if (isSomething(body) || !namesFile(body)) await entries.patch(body, toChange(body));
        else {
          if ((await filesOf(bootFiles, body)).length === 0) throw noFile();
          await putFiles(bootFiles, body);
        }
        return answer(200);
      },
    }),
    operation({
      id: `DELETE ${path}`,
      method: "DELETE",
      path,
      body: bootParamsSchema,
      run: async ({ body }) => {
        const { kernel, initrd, params } = body;
        // Where names are given, the rest is only what a client has in its file beside them.
        if (isSomething(body)) await entries.remove(body);
        else if (dialect.hasFiles && namesFile(body)) await removeFiles(bootFiles, body);
        else if ((await entries.removeWith({ kernel, initrd, params })) === 0) throw noFile();
        return answer(200);
      },
    }),
  ];
}

function withToken(status: number, token: string): Answer {
  return answer(status, undefined, { "BSS-Referral-Token": token });
}

/** BSS answers 400 where we know a conflict. */
function asBadRequest(error: unknown): never {
  if (!(error instanceof NetkilnError) || error.code !== "conflict") throw error;
  throw new NetkilnError("invalid_input", error.message, { hint: error.hint });
}

function noFile(): NetkilnError {
  return new NetkilnError("not_found", "there are no boot parameters with that kernel, initrd or params");
}

function isSomething({ hosts, macs, nids }: EntryNames): boolean {
  return hosts.length + macs.length + nids.length > 0;
}

function namesFile(body: BootParams | undefined): boolean {
  return body !== undefined && (body.kernel !== "" || body.initrd !== "");
}

function together(query: EntryNames, body: BootParams | undefined): EntryNames {
  return {
    hosts: [...query.hosts, ...(body?.hosts ?? [])],
    macs: [...query.macs, ...(body?.macs ?? [])],
    nids: [...query.nids, ...(body?.nids ?? [])],
  };
}

/** All entries, for a list that is sent as it is read. */
export function pagesOf(entries: BootEntryStore) {
  return async ({ after, limit }: { after: string | undefined; limit: number }): Promise<BootEntry[]> => {
    if (after === undefined) return entries.page({ limit });
    const space = after.indexOf(" ");
    return entries.page({ after: { kind: after.slice(0, space) as EntryKind, name: after.slice(space + 1) }, limit });
  };
}

/** Where such a list stands. */
export function placeOf({ kind, name }: BootEntry): string {
  return `${kind} ${name}`;
}

async function filesOf(files: BootFileStore, { kernel, initrd }: BootParams): Promise<BootFile[]> {
  const found = [await files.find("kernel", kernel), await files.find("initrd", initrd)];
  return found.filter((file) => file !== undefined);
}

/** The parameters go with the kernel, where one is named. */
async function putFiles(files: BootFileStore, { kernel, initrd, params }: BootParams): Promise<void> {
  await files.put(kernel === "" ? { kind: "initrd", link: initrd, params } : { kind: "kernel", link: kernel, params });
}

async function removeFiles(files: BootFileStore, { kernel, initrd }: BootParams): Promise<void> {
  const removed = [await files.remove("kernel", kernel), await files.remove("initrd", initrd)];
  if (!removed.includes(true)) throw noFile();
}

function toParameters({ params, kernel, initrd, ...rest }: BootParams): BootParameters {
  return { params, kernel, initrd, cloudInit: rest["cloud-init"] };
}

function toChange({ params, kernel, initrd, ...rest }: BootParams): Partial<BootParameters> {
  return {
    ...(params !== "" && { params }),
    ...(kernel !== "" && { kernel }),
    ...(initrd !== "" && { initrd }),
    ...(rest["cloud-init"] !== undefined && { cloudInit: rest["cloud-init"] }),
  };
}

export function printEntry({ kind, name, params, kernel, initrd, cloudInit }: BootEntry) {
  return {
    ...(kind === "host" ? { hosts: [name] } : kind === "mac" ? { macs: [name] } : { nids: [Number(name)] }),
    ...(params !== "" && { params }),
    ...(kernel !== "" && { kernel }),
    ...(initrd !== "" && { initrd }),
    ...(cloudInit !== undefined && { "cloud-init": cloudInit }),
  };
}

export function printFile({ kind, link, params }: BootFile) {
  return { [kind]: link, ...(params !== "" && { params }) };
}
