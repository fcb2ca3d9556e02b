import { NetkilnError } from "../../../lib/errors.ts";
import {
  canonicalMac,
  canonicalXname,
  typeOfXname,
  type Derived,
  type Endpoint,
  type EndpointPart,
  type EndpointStore,
} from "../../../node/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Answer, type Operation } from "../../service.ts";
import { deriveFrom } from "./derive.ts";
import {
  endpointPatchSchema,
  endpointSchema,
  endpointsQuerySchema,
  endpointsSchema,
  partsQuerySchema,
  type EndpointBody,
} from "./endpoint-schema.ts";
import { created, deleted, noSuch, xnameOf } from "./print.ts";

const base = "/Inventory/RedfishEndpoints";
const partBase = "/Inventory/ComponentEndpoints";
const nothing: Derived = { components: [], parts: [], interfaces: [] };

export function endpointOperations(endpoints: EndpointStore): Operation[] {
  const find = async (text: string | undefined): Promise<Endpoint> => {
    const xname = xnameOf(text);
    const found = await endpoints.get(xname);
    if (found === undefined) throw noSuch(xname);
    return found;
  };
  return [
    operation({
      id: "doRedfishEndpointsGet",
      method: "GET",
      path: base,
      query: endpointsQuerySchema,
      run: async ({ query }) => {
        const filter = {
          xnames: query.id,
          types: query.type,
          fqdns: query.fqdn,
          uuids: query.uuid,
          macs: query.macaddr,
          ips: query.ipaddress,
          lastStatuses: query.laststatus,
        };
        return streamList(
          (page) => endpoints.list(filter, page),
          ({ xname }) => xname,
          ({ data }) => data,
          [`{"RedfishEndpoints":`, "}"],
        );
      },
    }),
    operation({
      id: "doRedfishEndpointsPost",
      method: "POST",
      path: base,
      body: endpointsSchema,
      run: async ({ body }) => {
        const made = body.map((one) => ({ endpoint: toEndpoint(one), derived: deriveFrom(idOf(one), one) }));
        await endpoints.create(made);
        return created(made.map(({ endpoint }) => `${base}/${endpoint.xname}`));
      },
    }),
    operation({
      id: "doRedfishEndpointsDeleteAll",
      method: "DELETE",
      path: base,
      run: async () => deleted(await endpoints.removeAll()),
    }),
    operation({
      id: "doRedfishEndpointGet",
      method: "GET",
      path: `${base}/{xname}`,
      run: async ({ params }) => answer(200, (await find(params["xname"])).data),
    }),
    operation({
      id: "doRedfishEndpointQueryGet",
      method: "GET",
      path: `${base}/Query/{xname}`,
      run: async ({ params }) => answer(200, { RedfishEndpoints: [(await find(params["xname"])).data] }),
    }),
    operation({
      id: "doRedfishEndpointPut",
      method: "PUT",
      path: `${base}/{xname}`,
      body: endpointSchema,
      run: async ({ params, body }) => {
        const xname = xnameOf(params["xname"]);
        const said = { ...body, ID: body.ID ?? xname };
        if (idOf(said) !== xname)
          throw new NetkilnError("invalid_input", `the path names ${xname}, but the body ${said.ID}`);
        const endpoint = toEndpoint(said);
        await endpoints.replace(endpoint, deriveFrom(xname, said));
        return answer(200, endpoint.data);
      },
    }),
    operation({
      id: "doRedfishEndpointPatch",
      method: "PATCH",
      path: `${base}/{xname}`,
      body: endpointPatchSchema,
      run: async ({ params, body }) => {
        const { data } = await find(params["xname"]);
        const endpoint = toEndpoint({ ...endpointSchema.parse(data), ...withoutUndefined(body) });
        await endpoints.replace(endpoint, nothing);
        return answer(200, endpoint.data);
      },
    }),
    operation({
      id: "doRedfishEndpointDelete",
      method: "DELETE",
      path: `${base}/{xname}`,
      run: async ({ params }) => {
        const { xname } = await find(params["xname"]);
        await endpoints.remove(xname);
        return deleted(1);
      },
    }),
    ...partOperations(endpoints),
  ];
}

function partOperations(endpoints: EndpointStore): Operation[] {
  return [
    operation({
      id: "doComponentEndpointsGet",
      method: "GET",
      path: partBase,
      query: partsQuerySchema,
      run: async ({ query }): Promise<Answer> => {
        const filter = {
          xnames: query.id,
          endpoints: query.redfish_ep,
          types: query.type,
          redfishTypes: query.redfish_type,
        };
        return streamList(
          (page) => endpoints.parts(filter, page),
          ({ xname }) => xname,
          printPart,
          [`{"ComponentEndpoints":`, "}"],
        );
      },
    }),
    operation({
      id: "doComponentEndpointsDeleteAll",
      method: "DELETE",
      path: partBase,
      run: async () => deleted(await endpoints.removeAllParts()),
    }),
    operation({
      id: "doComponentEndpointGet",
      method: "GET",
      path: `${partBase}/{xname}`,
      run: async ({ params }) => {
        const xname = xnameOf(params["xname"]);
        const [part] = await endpoints.parts({ xnames: [xname] }, { limit: 1 });
        if (part === undefined) throw noSuch(xname);
        return answer(200, printPart(part));
      },
    }),
    operation({
      id: "doComponentEndpointDelete",
      method: "DELETE",
      path: `${partBase}/{xname}`,
      run: async ({ params }) => {
        const xname = xnameOf(params["xname"]);
        if (!(await endpoints.removePart(xname))) throw noSuch(xname);
        return deleted(1);
      },
    }),
  ];
}

function printPart({ xname, endpoint, type, redfishType, data }: EndpointPart) {
  return { ID: xname, Type: type, RedfishType: redfishType, RedfishEndpointID: endpoint, ...data };
}

/** Its ID, or the host name when that is an xname. */
function idOf({ ID, Hostname, FQDN }: Pick<EndpointBody, "ID" | "Hostname" | "FQDN">): string {
  const names = [ID ?? "", Hostname, FQDN.split(".")[0] ?? ""].map(canonicalXname);
  const found = ID === undefined || ID === "" ? names.find((name) => typeOfXname(name) !== undefined) : names[0];
  if (found !== undefined && typeOfXname(found) !== undefined) return found;
  throw new NetkilnError("invalid_input", `couldn't validate endpoint data: xname ID '${ID ?? ""}' is invalid`);
}

/** Passwords are not kept: nothing here asks a Redfish endpoint for anything. */
function toEndpoint(body: EndpointBody): Endpoint {
  const xname = idOf(body);
  const fqdn = body.FQDN || [body.Hostname, body.Domain].filter((part) => part !== "").join(".");
  const [host = "", ...domain] = fqdn.split(".");
  const type = typeOfXname(xname) ?? "";
  const mac = canonicalMac(body.MACAddr);
  if (mac === undefined && body.MACAddr !== "") {
    throw new NetkilnError("invalid_input", `couldn't validate endpoint data: '${body.MACAddr}' is no MAC address`);
  }
  const lastStatus = "NotYetQueried";
  return {
    xname,
    type,
    fqdn: fqdn === "" ? undefined : fqdn,
    uuid: body.UUID === "" ? undefined : body.UUID,
    mac,
    ip: body.IPAddress === "" ? undefined : body.IPAddress,
    lastStatus,
    data: {
      ID: xname,
      Type: type,
      Name: body.Name,
      Hostname: body.Hostname || host,
      Domain: body.Domain || domain.join("."),
      FQDN: fqdn,
      Enabled: body.Enabled ?? true,
      ...(body.UUID !== "" && { UUID: body.UUID }),
      User: body.User,
      Password: "",
      ...(body.UseSSDP != null && { UseSSDP: body.UseSSDP }),
      ...(body.MACRequired != null && { MACRequired: body.MACRequired }),
      ...(mac !== undefined && { MACAddr: mac }),
      ...(body.IPAddress !== "" && { IPAddress: body.IPAddress }),
      RediscoverOnUpdate: body.RediscoverOnUpdate ?? false,
      ...(body.TemplateID !== "" && { TemplateID: body.TemplateID }),
      // The contract has the first name; the service itself says the second, and sat leaves out endpoints without it.
      DiscoveryInfo: { LastStatus: lastStatus, LastDiscoveryStatus: lastStatus },
    },
  };
}

function withoutUndefined<Body extends object>(body: Body): { [Name in keyof Body]?: NonNullable<Body[Name]> } {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as never;
}
