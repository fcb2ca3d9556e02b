/** The Hardware State Manager against its contract. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import fastify, { type FastifyInstance } from "fastify";
import { hsmService } from "../../src/api/csm/hsm/routes.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import { readConfig } from "../../src/server/config.ts";
import { openHouse, type House } from "../../src/server/open.ts";
import { makeFolder } from "../support/server.ts";
import { contractFile, readContract, type Document } from "./support/contract.ts";
import { openTrial, type Trial } from "./support/trial.ts";

const skip = existsSync(contractFile("smd-v2.swagger.yaml")) ? false : "the contract's file is not here";

/**
 * The real service answers with `code: 0` where a text is documented, locks without code and message, and takes
 * labels of all letters, where the pattern knows hexadecimal digits only.
 */
function amend({ definitions = {} }: Document): void {
  Object.assign(definitions["Response_1.0.0"]?.["properties"] ?? {}, { code: { type: "integer" } });
  delete definitions["XnameResponse_1.0.0"]?.["required"];
  delete definitions["ResourceName"]?.["pattern"];
}

/** Operations about things that HSM finds out by discovery: nothing is there for a request to work on. */
const neverThere = [
  ...["doHWInvByLocationDeleteAll", "doHWInvByLocationGet", "doHWInvByLocationDelete", "doHWInvByLocationQueryGet"],
  ...["doHWInvHistByLocationDeleteAll", "doHWInvHistByLocationGet", "doHWInvHistByLocationDelete"],
  ...["doHWInvByFRUDeleteAll", "doHWInvByFRUGet", "doHWInvByFRUDelete"],
  ...["doHWInvHistByFRUGet", "doHWInvHistByFRUDelete"],
  ...["doServiceEndpointsDeleteAll", "doServiceEndpointsGet", "doServiceEndpointGet", "doServiceEndpointDelete"],
];
/** Lists without a filter, which nothing can be wrong with. */
const neverWrong = [
  ...["doGroupLabelsGet", "doPartitionNamesGet", "doNodeMapsGet", "doPowerMapsGet"],
  ...["doHWInvByLocationGetAll", "doHWInvHistByLocationsGet", "doHWInvByFRUGetAll", "doHWInvHistByFRUsGet"],
  "doServiceEndpointsGetAll",
];

const node = "x1000c0s0b0n0";
const other = "x1000c0s0b0n1";
const bmc = "x1000c0s0b0";
const missing = "x9000c0s0b0n0";

describe("hsm", { skip }, () => {
  let house: House;
  let app: FastifyInstance;
  let trial: Trial;

  before(async () => {
    house = await openHouse(readConfig({ data: await makeFolder() }, { NETKILN_CONFIG: undefined }));
    app = fastify();
    answerProblems(app);
    registerService(app, hsmService(house));
    trial = openTrial(app, "/apis/smd/hsm/v2", readContract("smd-v2.swagger.yaml", amend));
  });
  after(async () => {
    await app.close();
    await house.db.destroy();
  });

  test("service and values", async () => {
    assert.deepEqual(await trial.ask("doReadyGet", 200), { code: 0, message: "HSM is healthy" });
    await trial.ask("doLivenessGet", 204);
    await trial.ask("doValuesGet", 200);
    for (const name of ["Arch", "Class", "Flag", "NetType", "Role", "SubRole", "State", "Type"]) {
      await trial.ask(`do${name}ValuesGet`, 200);
    }
  });

  test("components", async () => {
    await trial.ask("doComponentsPost", 204, {
      body: {
        Components: [
          { ID: node, State: "Ready", NID: 7, Role: "Compute", Arch: "X86" },
          { ID: "X1000C0S0B0N01", State: "off", Type: "Node", Enabled: false },
          { ID: bmc, State: "Ready", Class: "River" },
        ],
      },
    });
    await trial.ask("doComponentsPost", 400, { body: { Components: [] } });
    await trial.ask("doComponentsPost", 400, { body: { Components: [{ ID: "nonsense", State: "Ready" }] } });
    await trial.ask("doComponentsPost", 400, { body: { Components: [{ ID: missing, State: "Ready", NID: 7 }] } });

    const ids = async (query: Record<string, string | string[]>) => {
      const { Components } = await trial.ask<{ Components: { ID: string }[] }>("doComponentsGet", 200, { query });
      return Components.map(({ ID }) => ID);
    };
    assert.deepEqual(await ids({}), [bmc, node, other]);
    assert.deepEqual(await ids({ type: "node", state: "!Ready" }), [other]);
    assert.deepEqual(await ids({ type: ["Node", "NodeBMC"], enabled: "true" }), [bmc, node]);
    assert.deepEqual(await ids({ nid_start: "7", nid_end: "8" }), [node, other]);
    assert.deepEqual(await ids({ class: "river" }), [bmc]);
    assert.deepEqual(await ids({ group: "NULL", id: [node, missing] }), [node]);
    await trial.ask("doComponentsGet", 400, { query: { state: "Nonsense" } });
    const { Components: views } = await trial.ask<{ Components: object[] }>("doComponentsGet", 200, {
      query: { id: node, nidonly: "true" },
    });
    assert.deepEqual(views, [{ ID: node, Type: "Node", NID: 7 }]);

    assert.deepEqual(await trial.ask("doComponentGet", 200, { params: { xname: node } }), {
      ...{ ID: node, Type: "Node", State: "Ready", Flag: "OK", Enabled: true, Role: "Compute", NID: 7 },
      ...{ NetType: "Sling", Arch: "X86" },
    });
    await trial.ask("doComponentGet", 404, { params: { xname: missing } });
    await trial.ask("doComponentByNIDGet", 200, { params: { nid: "7" } });
    await trial.ask("doComponentByNIDGet", 404, { params: { nid: "77" } });
    await trial.ask("doComponentsQueryPost", 200, { body: { ComponentIDs: ["x1000c0"], type: ["Node"] } });
    await trial.ask("doComponentsQueryPost", 400, { body: { ComponentIDs: [] } });
    await trial.ask("doComponentQueryGet", 200, { params: { xname: "all" }, query: { stateonly: "true" } });
    await trial.ask("doComponentQueryGet", 400, { params: { xname: "nonsense" } });
    await trial.ask("doComponentByNIDQueryPost", 200, { body: { NIDRanges: ["1-7", "8"] } });
    await trial.ask("doComponentByNIDQueryPost", 400, { body: { NIDRanges: ["7-"] } });

    const kept = { Component: { ID: node, State: "On", NID: 70 } };
    await trial.ask("doComponentPut", 204, { params: { xname: node }, body: kept });
    await trial.ask("doComponentPut", 204, { params: { xname: node }, body: { ...kept, Force: true } });
    await trial.ask("doComponentPut", 400, { params: { xname: bmc }, body: kept });
    const forced = await trial.ask<{ NID: number; State: string }>("doComponentGet", 200, { params: { xname: node } });
    assert.deepEqual([forced.NID, forced.State], [7, "On"]);
  });

  test("changes of one component and of many", async () => {
    for (const [bulk, single, body, bad] of [
      ["doCompBulkStateDataPatch", "doCompStatePatch", { State: "Ready", Flag: "Alert" }, { State: "Nonsense" }],
      ["doCompBulkFlagOnlyPatch", "doCompFlagOnlyPatch", { Flag: "Warning" }, { Flag: "Nonsense" }],
      ["doCompBulkEnabledPatch", "doCompEnabledPatch", { Enabled: true }, { Enabled: "yes" }],
      ["doCompBulkSwStatusPatch", "doCompSwStatusPatch", { SoftwareStatus: "AdminDown" }, { SoftwareStatus: 1 }],
      ["doCompBulkRolePatch", "doCompRolePatch", { Role: "application", SubRole: "UAN" }, { Role: "" }],
    ] as const) {
      const many = { ComponentIDs: [node, other] };
      await trial.ask(bulk, 204, { body: { ...many, ...body } });
      await trial.ask(bulk, 400, { body: { ...many, ...bad } });
      await trial.ask(bulk, 404, { body: { ComponentIDs: [node, missing], ...body } });
      await trial.ask(single, single === "doCompRolePatch" ? 200 : 204, { params: { xname: node }, body });
      await trial.ask(single, 400, { params: { xname: node }, body: bad });
      await trial.ask(single, 404, { params: { xname: missing }, body });
    }
    const swapped = [
      { ID: node, NID: 8 },
      { ID: other, NID: 7 },
    ];
    await trial.ask("doCompArrayNIDPatch", 204, { body: { Components: swapped } });
    await trial.ask("doCompArrayNIDPatch", 400, { body: { Components: [{ ID: node, NID: 7 }] } });
    await trial.ask("doCompNIDPatch", 200, { params: { xname: node }, body: { NID: 9 } });
    await trial.ask("doCompNIDPatch", 404, { params: { xname: missing }, body: { NID: 10 } });
    const { Components } = await trial.ask<{ Components: object[] }>("doComponentsGet", 200, {
      query: { role: "Application", softwarestatus: "admindown", flag: "Warning", stateonly: "true", nidonly: "true" },
    });
    assert.deepEqual(Components, [
      { ID: node, Type: "Node", State: "Ready", Flag: "Warning", NID: 9 },
      { ID: other, Type: "Node", State: "Ready", Flag: "Warning", NID: 7 },
    ]);
  });

  test("groups, partitions and memberships", async () => {
    const group = {
      label: "green",
      description: "some",
      tags: ["t1"],
      exclusiveGroup: "colour",
      members: { ids: [node] },
    };
    assert.deepEqual(await trial.ask("doGroupsPost", 201, { body: group }), [{ URI: "/hsm/v2/groups/green" }]);
    await trial.ask("doGroupsPost", 409, { body: group });
    await trial.ask("doGroupsPost", 400, { body: { label: "no label" } });
    await trial.ask("doGroupsPost", 409, { body: { ...group, label: "red" } });
    await trial.ask("doGroupsGet", 200, { query: { group: ["green", "red"], tag: "t1" } });
    await trial.ask("doGroupsGet", 400, { query: { group: "no label" } });
    await trial.ask("doPartitionsPost", 201, { body: { name: "p1", members: { ids: [node] } } });
    await trial.ask("doPartitionsPost", 409, { body: { name: "p2", members: { ids: [node] } } });
    await trial.ask("doPartitionsGet", 200);
    await trial.ask("doPartitionsGet", 400, { query: { partition: "no name" } });
    for (const [prefix, key, name, names] of [
      ["doGroup", "group_label", "green", "doGroupLabelsGet"],
      ["doPartition", "partition_name", "p1", "doPartitionNamesGet"],
    ] as const) {
      const params = { [key]: name };
      const none = { [key]: "none" };
      assert.deepEqual(await trial.ask(names, 200), [name]);
      await trial.ask(`${prefix}Get`, 200, { params });
      await trial.ask(`${prefix}Get`, 404, { params: none });
      await trial.ask(`${prefix}Patch`, 204, { params, body: { description: "others", tags: null } });
      await trial.ask(`${prefix}Patch`, 404, { params: none, body: {} });
      await trial.ask(`${prefix}MembersPost`, 201, { params, body: { id: other } });
      await trial.ask(`${prefix}MembersPost`, 409, { params, body: { id: other } });
      assert.deepEqual(await trial.ask(`${prefix}MembersGet`, 200, { params }), { ids: [node, other] });
      await trial.ask(`${prefix}MembersGet`, 404, { params: none });
      await trial.ask(`${prefix}MemberDelete`, 200, { params: { ...params, xname_id: other } });
      await trial.ask(`${prefix}MemberDelete`, 404, { params: { ...params, xname_id: other } });
    }
    assert.deepEqual(await trial.ask("doMembershipGet", 200, { params: { xname: node } }), {
      ...{ id: node, groupLabels: ["green"], partitionName: "p1" },
    });
    await trial.ask("doMembershipGet", 404, { params: { xname: missing } });
    await trial.ask("doMembershipsGet", 200, { query: { type: "Node", partition: "p1" } });
    await trial.ask("doMembershipsGet", 400, { query: { type: "Nonsense" } });
    await trial.ask("doGroupDelete", 200, { params: { group_label: "green" } });
    await trial.ask("doGroupDelete", 404, { params: { group_label: "green" } });
    await trial.ask("doPartitionDelete", 200, { params: { partition_name: "p1" } });
    await trial.ask("doPartitionDelete", 404, { params: { partition_name: "p1" } });
  });

  test("locks and reservations", async () => {
    const flexible = { ComponentIDs: [node, missing], ProcessingModel: "flexible" };
    const failed = [{ ID: missing, Reason: "NotFound" }];
    const one = { Counts: { Total: 2, Success: 1, Failure: 1 }, Success: { ComponentIDs: [node] }, Failure: failed };
    const bad = { body: { ComponentIDs: [missing] } };
    for (const [verb, status] of [
      ["service/reservations", 202],
      ["disable", 200],
      ["repair", 200],
      ["lock", 200],
      ["reservations", 202],
    ] as const) {
      const result = await trial.ask(`POST /locks/${verb}`, status, { body: flexible });
      if (status === 200) assert.deepEqual(result, one);
      await trial.ask(`POST /locks/${verb}`, 400, bad);
    }
    const { Components } = await trial.ask<{ Components: object[] }>("GET /locks/status", 200, {
      query: { locked: "true", reserved: "true" },
    });
    assert.equal(Components.length, 1);
    await trial.ask("GET /locks/status", 400, { query: { locked: "perhaps" } });
    await trial.ask("POST /locks/status", 200, { body: { ComponentIDs: [node, missing] } });
    await trial.ask("POST /locks/status", 400, { body: { ComponentIDs: [] } });
    await trial.ask("POST /locks/unlock", 400, { body: { Components: [node] } });
    await trial.ask("POST /locks/reservations/remove", 202, { body: {} });
    await trial.ask("POST /locks/reservations/remove", 400, bad);
    await trial.ask("POST /locks/unlock", 200, { body: { ComponentIDs: [node] } });
    await trial.ask("POST /locks/unlock", 400, { body: { ComponentIDs: [node] } });

    type Made = { Success: { ID: string; ReservationKey: string; DeputyKey: string; ExpirationTime: string }[] };
    const made = await trial.ask<Made>("POST /locks/service/reservations", 202, {
      body: { Type: ["Node"], Role: ["Application"], ReservationDuration: 2 },
    });
    assert.deepEqual(
      made.Success.map(({ ID }) => ID),
      [node, other],
    );
    const keys = made.Success.map(({ ID, ReservationKey }) => ({ ID, Key: ReservationKey }));
    const deputies = made.Success.map(({ ID, DeputyKey }) => ({ ID, Key: DeputyKey }));
    const wrong = { ID: node, Key: "wrong" };
    const checked = await trial.ask<Made>("POST /locks/service/reservations/check", 202, {
      body: { DeputyKeys: [...deputies, wrong] },
    });
    assert.equal(checked.Success.length, 2);
    await trial.ask("POST /locks/service/reservations/check", 400, { body: { DeputyKeys: [{}] } });
    const renewal = { ReservationKeys: keys, ReservationDuration: 15 };
    await trial.ask("POST /locks/service/reservations/renew", 202, { body: renewal });
    await trial.ask("POST /locks/service/reservations/renew", 400, { body: { ...renewal, ReservationDuration: 16 } });
    await trial.ask("POST /locks/service/reservations/release", 202, { body: { ReservationKeys: keys.slice(1) } });
    await trial.ask("POST /locks/service/reservations/release", 400, { body: { ReservationKeys: [wrong] } });
    await trial.ask("POST /locks/reservations/release", 202, { body: { ReservationKeys: keys.slice(0, 1) } });
    await trial.ask("POST /locks/reservations/release", 400, { body: { ReservationKeys: keys } });
  });

  test("interfaces", async () => {
    const body = { MACAddress: "52-54-00-AA-00-01", ComponentID: node, IPAddresses: [{ IPAddress: "10.0.0.1" }] };
    const params = { ethInterfaceID: "525400aa0001" };
    const none = { ethInterfaceID: "525400aa0009" };
    assert.deepEqual(await trial.ask("doCompEthInterfacePostV2", 201, { body }), {
      URI: "/hsm/v2/Inventory/EthernetInterfaces/525400aa0001",
    });
    await trial.ask("doCompEthInterfacePostV2", 409, { body });
    await trial.ask("doCompEthInterfacePostV2", 400, { body: { MACAddress: "nonsense" } });
    const change = { Description: "first", IPAddresses: [{ IPAddress: "10.0.0.2", Network: "NMN" }] };
    await trial.ask("doCompEthInterfacePatchV2", 200, { params, body: change });
    await trial.ask("doCompEthInterfacePatchV2", 404, { params: none, body: change });
    await trial.ask("doCompEthInterfaceIPAddressesPostV2", 201, { params, body: { IPAddress: "10.0.0.3" } });
    await trial.ask("doCompEthInterfaceIPAddressesPostV2", 409, { params, body: { IPAddress: "10.0.0.3" } });
    const address = { ...params, ipAddress: "10.0.0.3" };
    await trial.ask("doCompEthInterfaceIPAddressPatchV2", 200, { params: address, body: { Network: "HMN" } });
    await trial.ask("doCompEthInterfaceIPAddressPatchV2", 404, {
      params: { ...params, ipAddress: "1.1.1.1" },
      body: {},
    });
    const found = await trial.ask<{ LastUpdate: string }[]>("doCompEthInterfacesGetV2", 200, {
      query: { Network: "HMN", Type: "Node", ComponentID: node, IPAddress: "10.0.0.2", MACAddress: "5254.00aa.0001" },
    });
    assert.deepEqual(
      { ...found[0], LastUpdate: undefined },
      {
        ...{ ID: "525400aa0001", Description: "first", MACAddress: "52:54:00:aa:00:01", LastUpdate: undefined },
        ...{ ComponentID: node, Type: "Node" },
        IPAddresses: [
          { IPAddress: "10.0.0.2", Network: "NMN" },
          { IPAddress: "10.0.0.3", Network: "HMN" },
        ],
      },
    );
    assert.deepEqual((await house.nodes.get(node))?.interfaces, [{ mac: "52:54:00:aa:00:01", ip: "10.0.0.2" }]);
    await trial.ask("doCompEthInterfacesGetV2", 400, { query: { OlderThan: "yesterday" } });
    await trial.ask("doCompEthInterfaceIPAddressesGetV2", 200, { params });
    await trial.ask("doCompEthInterfaceIPAddressesGetV2", 404, { params: none });
    await trial.ask("doCompEthInterfaceIPAddressDeleteV2", 200, { params: address });
    await trial.ask("doCompEthInterfaceIPAddressDeleteV2", 404, { params: address });
    await trial.ask("doCompEthInterfaceGetV2", 200, { params });
    await trial.ask("doCompEthInterfaceGetV2", 404, { params: none });
    await trial.ask("doCompEthInterfaceDeleteV2", 200, { params });
    await trial.ask("doCompEthInterfaceDeleteV2", 404, { params });
    await trial.ask("doCompEthInterfaceDeleteAllV2", 404);
    await trial.ask("doCompEthInterfacePostV2", 201, { body });
    await trial.ask("doCompEthInterfaceDeleteAllV2", 200);
  });

  test("redfish endpoints, and what follows from them", async () => {
    await trial.ask("doComponentPut", 204, {
      params: { xname: "x2c0s0b0n1" },
      body: { Component: { ID: "x2c0s0b0n1", State: "On", NID: 42 } },
    });
    const nic = (name: string, last: number) => ({
      ...{ name, description: `Interface 0 for ${name}`, mac: `de:ca:fc:0f:fe:0${last}`, ip: `172.16.0.${last}` },
    });
    const body = {
      ...{ ID: "x2c0s0b0", Type: "NodeBMC", Name: "bmc", FQDN: "", MACAddr: "de:ca:fc:0f:fe:01", SchemaVersion: 1 },
      ...{ IPAddress: "172.16.0.1", UUID: "3f1a2ab4-3d6a-4d54-9a5a-0b51cdbbd001" },
      Managers: [
        {
          ...{ uri: "https://demo/redfish/v1/Managers/x2c0s0b0", name: "x2c0s0b0", type: "NodeBMC" },
          ethernet_interfaces: [nic("x2c0s0b0", 1)],
        },
      ],
      Systems: [
        {
          ...{ uri: "https://demo/redfish/v1/Systems/x2c0s0b0n1", name: "node01", actions: ["On", "ForceOff"] },
          ...{ uuid: "3f1a2ab4-3d6a-4d54-9a5a-0b51cdbbd002", ethernet_interfaces: [nic("x2c0s0b0n1", 2)] },
        },
      ],
    };
    const params = { xname: "x2c0s0b0" };
    const none = { xname: "x9c0s0b0" };
    assert.deepEqual(await trial.ask("doRedfishEndpointsPost", 201, { body }), [
      { URI: "/hsm/v2/Inventory/RedfishEndpoints/x2c0s0b0" },
    ]);
    await trial.ask("doRedfishEndpointsPost", 409, { body });
    await trial.ask("doRedfishEndpointsPost", 400, { body: { Name: "nothing" } });
    await trial.ask("doRedfishEndpointPut", 200, { params, body });
    await trial.ask("doRedfishEndpointPut", 404, { params: none, body: { ...body, ID: "x9c0s0b0" } });

    const made = await trial.ask<{ Type: string }>("doComponentGet", 200, { params });
    assert.equal(made.Type, "NodeBMC");
    const kept = await trial.ask<{ NID: number }>("doComponentGet", 200, { params: { xname: "x2c0s0b0n1" } });
    assert.equal(kept.NID, 42);
    await trial.ask("doComponentGet", 404, { params: { xname: "x2c0s0b0n0" } });
    assert.deepEqual((await house.nodes.get("x2c0s0b0n1"))?.interfaces, [
      { mac: "de:ca:fc:0f:fe:02", ip: "172.16.0.2" },
    ]);
    const { ComponentEndpoints } = await trial.ask<{ ComponentEndpoints: { ID: string; RedfishType: string }[] }>(
      "doComponentEndpointsGet",
      200,
      { query: { redfish_ep: "x2c0s0b0" } },
    );
    assert.deepEqual(
      ComponentEndpoints.map(({ ID, RedfishType }) => [ID, RedfishType]),
      [
        ["x2c0s0b0", "Manager"],
        ["x2c0s0b0n1", "ComputerSystem"],
      ],
    );
    await trial.ask("doComponentEndpointsGet", 400, { query: { type: "Nonsense" } });
    await trial.ask("doComponentEndpointGet", 200, { params });
    await trial.ask("doComponentEndpointGet", 404, { params: none });
    await trial.ask("doRedfishEndpointsGet", 200, { query: { macaddr: "DE:CA:FC:0F:FE:01", type: "NodeBMC" } });
    await trial.ask("doRedfishEndpointsGet", 400, { query: { type: "Nonsense" } });
    await trial.ask("doRedfishEndpointGet", 200, { params });
    await trial.ask("doRedfishEndpointGet", 404, { params: none });
    await trial.ask("doRedfishEndpointQueryGet", 200, { params });
    await trial.ask("doRedfishEndpointQueryGet", 404, { params: none });
    const patched = await trial.ask<{ IPAddress: string; Name: string }>("doRedfishEndpointPatch", 200, {
      params,
      body: { IPAddress: "172.16.0.9" },
    });
    assert.deepEqual([patched.IPAddress, patched.Name], ["172.16.0.9", "bmc"]);
    await trial.ask("doRedfishEndpointPatch", 404, { params: none, body: {} });
    await trial.ask("doComponentEndpointDelete", 200, { params });
    await trial.ask("doComponentEndpointDelete", 404, { params });
    await trial.ask("doComponentEndpointsDeleteAll", 200);
    await trial.ask("doComponentEndpointsDeleteAll", 404);
    await trial.ask("doRedfishEndpointDelete", 200, { params });
    await trial.ask("doRedfishEndpointDelete", 404, { params });
    await trial.ask("doRedfishEndpointsDeleteAll", 404);
    await trial.ask("doRedfishEndpointsPost", 201, { body: { RedfishEndpoints: [{ ID: "x2c0s1b0" }] } });
    await trial.ask("doRedfishEndpointsDeleteAll", 200);
    await trial.ask("doCompEthInterfaceDeleteAllV2", 200);
  });

  test("node maps and power maps", async () => {
    const params = { xname: "x3c0s0b0n0" };
    const none = { xname: missing };
    await trial.ask("doNodeMapPost", 200, { body: { NodeMaps: [{ ID: params.xname, NID: 99, Role: "Service" }] } });
    await trial.ask("doNodeMapPost", 409, { body: { NodeMaps: [{ ID: missing, NID: 99 }] } });
    await trial.ask("doNodeMapPut", 200, { params, body: { NID: 98, Role: "Service" } });
    await trial.ask("doNodeMapPut", 400, { params, body: {} });
    await trial.ask("doNodeMapsGet", 200);
    await trial.ask("doComponentsPost", 204, { body: { Components: [{ ID: params.xname, State: "On" }] } });
    const made = await trial.ask<{ NID: number; Role: string }>("doComponentGet", 200, { params });
    assert.deepEqual([made.NID, made.Role], [98, "Service"]);
    const feed = { poweredBy: ["x3m0p0v1"] };
    await trial.ask("doPowerMapsPost", 200, { body: [{ id: params.xname, ...feed }] });
    await trial.ask("doPowerMapsPost", 400, { body: [] });
    await trial.ask("doPowerMapPut", 200, { params, body: feed });
    await trial.ask("doPowerMapPut", 400, { params, body: {} });
    await trial.ask("doPowerMapsGet", 200);
    for (const prefix of ["doNodeMap", "doPowerMap"]) {
      await trial.ask(`${prefix}Get`, 200, { params });
      await trial.ask(`${prefix}Get`, 404, { params: none });
      await trial.ask(`${prefix}Delete`, 200, { params });
      await trial.ask(`${prefix}Delete`, 404, { params });
      await trial.ask(`${prefix}sDeleteAll`, 404);
    }
    await trial.ask("doNodeMapPut", 200, { params, body: { NID: 98 } });
    await trial.ask("doNodeMapsDeleteAll", 200);
    await trial.ask("doPowerMapPut", 200, { params, body: feed });
    await trial.ask("doPowerMapsDeleteAll", 200);
  });

  test("what was never discovered", async () => {
    for (const id of ["doHWInvByLocationGetAll", "doHWInvHistByLocationsGet", "doHWInvByFRUGetAll"]) {
      await trial.ask(id, 200);
    }
    for (const id of ["doHWInvHistByFRUsGet", "doServiceEndpointsGetAll", "doDiscoveryStatusGetAll"]) {
      await trial.ask(id, 200);
    }
    await trial.ask("doDiscoveryStatusGet", 200, { params: { id: "0" } });
    await trial.ask("doDiscoveryStatusGet", 404, { params: { id: "1" } });
    const params = { xname: node, fruid: "FRU.1", service: "UpdateService" };
    for (const id of neverThere) await trial.ask(id, 404, { params });
  });

  test("components go", async () => {
    await trial.ask("doComponentDelete", 200, { params: { xname: node } });
    await trial.ask("doComponentDelete", 404, { params: { xname: node } });
    await trial.ask("doComponentsDeleteAll", 200);
    await trial.ask("doComponentsDeleteAll", 404);
  });

  test("every operation was tried", () => {
    const notServed = readFileSync(new URL("not-covered.txt", import.meta.url), "utf8")
      .split("\n")
      .flatMap((line) => /^hsm {2}(.+?) {2}/.exec(line)?.[1] ?? []);
    trial.assertAllTried([...notServed, ...neverThere, ...neverWrong]);
  });
});
