import {
  canonicalXname,
  typeOfXname,
  type ComponentInput,
  type Derived,
  type EndpointPart,
  type InterfaceInput,
} from "../../../node/index.ts";
import type { EndpointBody, TellingPart } from "./endpoint-schema.ts";

/**
 * What follows from an endpoint that tells about its managers and systems (`SchemaVersion` 1 or more): the BMC and
 * the nodes, how each is reached, and their interfaces. Clients that send this send no interfaces besides.
 */
export function deriveFrom(xname: string, body: EndpointBody): Derived {
  if ((body.SchemaVersion ?? 0) < 1) return { components: [], parts: [], interfaces: [] };
  const systems = body.Systems.filter(
    ({ uuid }, index) => uuid === "" || body.Systems.findIndex((other) => other.uuid === uuid) === index,
  );
  const told = [
    ...body.Managers.map((manager) => fromManager(xname, body, manager)),
    ...systems.map((system, index) => fromSystem(nodeOf(xname, system, index), xname, body, system)),
  ];
  return {
    components: told.map(({ component }) => component),
    parts: told.map(({ part }) => part),
    interfaces: told.flatMap(({ interfaces }) => interfaces),
  };
}

interface Told {
  readonly component: ComponentInput;
  readonly part: EndpointPart;
  readonly interfaces: readonly InterfaceInput[];
}

/** `ochami` names the node where it says what its interfaces are called, or in the link; else they are counted. */
function nodeOf(bmc: string, { uri, ethernet_interfaces }: TellingPart, index: number): string {
  const names = [uri.split("/").at(-1) ?? "", ...ethernet_interfaces.map(({ name }) => name)].map(canonicalXname);
  return names.find((name) => typeOfXname(name) === "Node" && name.startsWith(`${bmc}n`)) ?? `${bmc}n${index}`;
}

function fromManager(xname: string, { FQDN }: EndpointBody, manager: TellingPart): Told {
  const path = pathOf(manager.uri);
  return {
    component: component(xname, "Unknown"),
    interfaces: interfacesOf(xname, manager),
    part: {
      xname,
      endpoint: xname,
      type: typeOfXname(xname) ?? "",
      redfishType: "Manager",
      data: {
        ...common(FQDN, path, manager),
        ComponentEndpointType: "ComponentEndpointManager",
        RedfishManagerInfo: {
          Name: manager.name,
          Actions: { "#Manager.Reset": reset(`${path}/Actions/Manager.Reset`, manager) },
          EthernetNICInfo: nicsOf(manager),
        },
      },
    },
  };
}

function fromSystem(xname: string, endpoint: string, { FQDN }: EndpointBody, system: TellingPart): Told {
  const path = pathOf(system.uri);
  return {
    component: component(xname, "On"),
    interfaces: interfacesOf(xname, system),
    part: {
      xname,
      endpoint,
      type: "Node",
      redfishType: "ComputerSystem",
      data: {
        ...common(FQDN, path, system),
        ComponentEndpointType: "ComponentEndpointComputerSystem",
        RedfishSystemInfo: {
          Name: system.name,
          Actions: { "#ComputerSystem.Reset": reset(`${path}/Actions/ComputerSystem.Reset`, system) },
          EthernetNICInfo: nicsOf(system),
        },
      },
    },
  };
}

function component(xname: string, state: ComponentInput["state"]): ComponentInput {
  return {
    ...{ xname, state, flag: "OK", enabled: true, softwareStatus: undefined, role: undefined, subRole: undefined },
    ...{ nid: undefined, subtype: undefined, netType: undefined, arch: undefined, class: undefined },
  };
}

function common(fqdn: string, path: string, { uuid, system_type, ethernet_interfaces }: TellingPart) {
  const mac = ethernet_interfaces.find((nic) => nic.mac !== undefined)?.mac;
  return {
    ...(system_type !== "" && { RedfishSubtype: system_type }),
    ...(mac !== undefined && { MACAddr: mac }),
    ...(uuid !== "" && { UUID: uuid }),
    OdataID: path,
    RedfishEndpointFQDN: fqdn,
    RedfishURL: fqdn + path,
    Enabled: true,
  };
}

function reset(target: string, { actions }: TellingPart) {
  return { "ResetType@Redfish.AllowableValues": actions, target };
}

function nicsOf({ ethernet_interfaces }: TellingPart) {
  return ethernet_interfaces.map(({ uri, description, mac }) => ({
    RedfishId: pathOf(uri),
    "@odata.id": pathOf(uri),
    Description: description,
    ...(mac !== undefined && { MACAddress: mac }),
    InterfaceEnabled: true,
  }));
}

function interfacesOf(xname: string, { ethernet_interfaces }: TellingPart): InterfaceInput[] {
  return ethernet_interfaces.flatMap(({ mac, ip, description }) =>
    mac === undefined ? [] : { mac, description, xname, addresses: ip === undefined ? [] : [{ ip, network: "" }] },
  );
}

/** Links come whole or as a path. */
function pathOf(uri: string): string {
  return /^https?:/.test(uri) && URL.canParse(uri) ? new URL(uri).pathname : uri;
}
