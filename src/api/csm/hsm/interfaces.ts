import { NetkilnError } from "../../../lib/errors.ts";
import { canonicalMac, type Interface, type InterfaceStore } from "../../../node/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { deleted, done, toUri } from "./print.ts";
import {
  addressPatchSchema,
  addressSchema,
  interfacePatchSchema,
  interfacesQuerySchema,
  interfaceSchema,
} from "./schema.ts";

const base = "/Inventory/EthernetInterfaces";
const one = `${base}/{ethInterfaceID}`;

/** HSM's name for an interface: its MAC address without colons. */
function idOf(mac: string): string {
  return mac.replaceAll(":", "");
}

function macOf(id: string | undefined): string {
  const mac = canonicalMac(id ?? "");
  // An address with a typing error is the name of no interface.
  if (mac === undefined) throw new NetkilnError("not_found", `no such ethernet interface: ${id}`);
  return mac;
}

export function interfaceOperations(interfaces: InterfaceStore): Operation[] {
  const find = async (id: string | undefined): Promise<Interface> => {
    const found = await interfaces.get(macOf(id));
    if (found === undefined) throw new NetkilnError("not_found", `no such ethernet interface: ${id}`);
    return found;
  };
  return [
    operation({
      id: "doCompEthInterfacesGetV2",
      method: "GET",
      path: base,
      query: interfacesQuerySchema,
      run: async ({ query }) => {
        const filter = {
          macs: query.MACAddress,
          ips: query.IPAddress,
          networks: query.Network,
          xnames: query.ComponentID,
          types: query.Type,
          olderThan: query.OlderThan,
          newerThan: query.NewerThan,
        };
        return streamList(
          (page) => interfaces.list(filter, page),
          ({ mac }) => mac,
          print,
        );
      },
    }),
    operation({
      id: "doCompEthInterfacePostV2",
      method: "POST",
      path: base,
      body: interfaceSchema,
      run: async ({ body }) => {
        await interfaces.create({
          mac: body.MACAddress,
          description: body.Description ?? "",
          xname: body.ComponentID ?? "",
          addresses: body.IPAddresses ?? [],
        });
        const uri = toUri(`${base}/${idOf(body.MACAddress)}`);
        return answer(201, uri, { location: uri.URI });
      },
    }),
    operation({
      id: "doCompEthInterfaceDeleteAllV2",
      method: "DELETE",
      path: base,
      run: async () => deleted(await interfaces.removeAll()),
    }),
    operation({
      id: "doCompEthInterfaceGetV2",
      method: "GET",
      path: one,
      run: async ({ params }) => answer(200, print(await find(params["ethInterfaceID"]))),
    }),
    operation({
      id: "doCompEthInterfaceDeleteV2",
      method: "DELETE",
      path: one,
      run: async ({ params }) => {
        const { mac } = await find(params["ethInterfaceID"]);
        await interfaces.remove(mac);
        return deleted(1);
      },
    }),
    operation({
      id: "doCompEthInterfacePatchV2",
      method: "PATCH",
      path: one,
      body: interfacePatchSchema,
      run: async ({ params, body }) => {
        await interfaces.change(macOf(params["ethInterfaceID"]), {
          ...(body.Description !== undefined && { description: body.Description }),
          ...(body.ComponentID !== undefined && { xname: body.ComponentID }),
          ...(body.IPAddresses !== undefined && { addresses: body.IPAddresses }),
        });
        return done("Success");
      },
    }),
    operation({
      id: "doCompEthInterfaceIPAddressesGetV2",
      method: "GET",
      path: `${one}/IPAddresses`,
      run: async ({ params }) => answer(200, print(await find(params["ethInterfaceID"])).IPAddresses),
    }),
    operation({
      id: "doCompEthInterfaceIPAddressesPostV2",
      method: "POST",
      path: `${one}/IPAddresses`,
      body: addressSchema,
      run: async ({ params, body }) => {
        const mac = macOf(params["ethInterfaceID"]);
        await interfaces.addAddress(mac, body);
        const uri = toUri(`${base}/${idOf(mac)}/IPAddresses/${body.ip}`);
        return answer(201, uri, { location: uri.URI });
      },
    }),
    operation({
      id: "doCompEthInterfaceIPAddressPatchV2",
      method: "PATCH",
      path: `${one}/IPAddresses/{ipAddress}`,
      body: addressPatchSchema,
      run: async ({ params, body }) => {
        const mac = macOf(params["ethInterfaceID"]);
        await interfaces.changeAddress(mac, params["ipAddress"] ?? "", body.Network ?? "");
        return done("Success");
      },
    }),
    operation({
      id: "doCompEthInterfaceIPAddressDeleteV2",
      method: "DELETE",
      path: `${one}/IPAddresses/{ipAddress}`,
      run: async ({ params }) => {
        const { ipAddress = "" } = params;
        if (await interfaces.removeAddress(macOf(params["ethInterfaceID"]), ipAddress)) return deleted(1);
        throw new NetkilnError("not_found", `the interface has no address ${ipAddress}`);
      },
    }),
  ];
}

function print({ mac, description, addresses, xname, type, updated }: Interface) {
  return {
    ID: idOf(mac),
    Description: description,
    MACAddress: mac,
    LastUpdate: updated,
    ComponentID: xname,
    Type: type,
    IPAddresses: addresses.map(({ ip, network }) => ({ IPAddress: ip, ...(network !== "" && { Network: network }) })),
  };
}
