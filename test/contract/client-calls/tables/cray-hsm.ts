/** `cray hsm`. */
import { something, type Call } from "../calls.ts";

export const node = "x3000c0s19b4n0";

export const hsm: readonly Call[] = [
  {
    command: "hsm state components create",
    sends: "POST /apis/smd/hsm/v2/State/Components",
    body: { Components: [{ ID: node, Type: "Node", State: "Off", Role: "Compute", NID: 1 }] },
    status: 204,
  },
  {
    command: "hsm state components list",
    sends: "GET /apis/smd/hsm/v2/State/Components?type=Node&role=Compute",
    status: 200,
    reads: { "Components.0.ID": node },
  },
  {
    command: "hsm state components describe",
    sends: `GET /apis/smd/hsm/v2/State/Components/${node}`,
    status: 200,
    reads: { ID: node, State: "Off" },
  },
  {
    command: "hsm state components enabled update",
    sends: `PATCH /apis/smd/hsm/v2/State/Components/${node}/Enabled`,
    body: { Enabled: true },
    status: 204,
  },
  {
    command: "hsm state components role update",
    sends: `PATCH /apis/smd/hsm/v2/State/Components/${node}/Role`,
    body: { Role: "Application", SubRole: "UAN" },
    status: 200,
  },
  {
    command: "hsm groups create",
    sends: "POST /apis/smd/hsm/v2/groups",
    body: { label: "green", tags: ["a"], members: { ids: [node] } },
    status: 201,
    reads: { "0.URI": "/hsm/v2/groups/green" },
  },
  {
    command: "hsm groups members list",
    sends: "GET /apis/smd/hsm/v2/groups/green/members",
    status: 200,
    reads: { ids: [node] },
  },
  { command: "hsm groups describe (none)", sends: "GET /apis/smd/hsm/v2/groups/none", status: 404 },
  { command: "hsm memberships list", sends: "GET /apis/smd/hsm/v2/memberships", status: 200, reads: { "0.id": node } },
  {
    command: "hsm locks lock create",
    sends: "POST /apis/smd/hsm/v2/locks/lock",
    body: { ComponentIDs: [node] },
    status: 200,
    reads: { "Counts.Success": 1, "Success.ComponentIDs": [node], Failure: [] },
  },
  {
    command: "hsm locks status create",
    sends: "POST /apis/smd/hsm/v2/locks/status",
    body: { ComponentIDs: [node] },
    status: 200,
    reads: { "Components.0.Locked": true },
  },
  {
    command: "hsm locks unlock create",
    sends: "POST /apis/smd/hsm/v2/locks/unlock",
    body: { ComponentIDs: [node] },
    status: 200,
    reads: { "Counts.Failure": 0 },
  },
  {
    command: "hsm inventory ethernetInterfaces list",
    sends: "GET /apis/smd/hsm/v2/Inventory/EthernetInterfaces",
    status: 200,
    reads: { "": [] },
  },
  {
    command: "hsm inventory redfishEndpoints list",
    sends: "GET /apis/smd/hsm/v2/Inventory/RedfishEndpoints",
    status: 200,
    reads: { RedfishEndpoints: [] },
  },
  { command: "hsm service ready list", sends: "GET /apis/smd/hsm/v2/service/ready", status: 200, reads: { code: 0 } },
];

const smd = "/apis/smd/hsm/v2";
const other = "x3000c0s19b3n0";
const ids = { ComponentIDs: [node] };
const held = { ReservationKeys: [{ ID: node, Key: "{key}" }] };

export const hsmMore: readonly Call[] = [
  {
    ...{ command: "hsm inventory ethernetInterfaces create", status: 201 },
    ...{ sends: `POST ${smd}/Inventory/EthernetInterfaces`, body: { MACAddress: "020000000009", ComponentID: node } },
  },
  {
    ...{ command: "hsm state components create", sends: `POST ${smd}/State/Components`, status: 204 },
    body: { Components: [{ ID: other, State: "Off", NID: 7 }] },
  },
  {
    ...{ command: "hsm state components list", status: 200, reads: { "Components.0.ID": node } },
    sends: `GET ${smd}/State/Components?state=off&enabled=true&group=green&nid=1`,
  },
  {
    ...{ command: "hsm state components ByNID describe", sends: `GET ${smd}/State/Components/ByNID/7`, status: 200 },
    reads: { ID: other },
  },
  {
    ...{ command: "hsm state components query create", sends: `POST ${smd}/State/Components/Query`, status: 200 },
    ...{ body: { ComponentIDs: ["x3000c0s19b3"] }, reads: { "Components.0.ID": other, "Components.length": 1 } },
  },
  {
    ...{ command: "hsm state components stateData update", status: 204, body: { State: "On" } },
    sends: `PATCH ${smd}/State/Components/${other}/StateData`,
  },
  {
    ...{ command: "hsm state components bulkNID update", status: 204 },
    ...{ sends: `PATCH ${smd}/State/Components/BulkNID`, body: { Components: [{ ID: other, NID: 8 }] } },
  },
  { command: "hsm groups list", sends: `GET ${smd}/groups`, status: 200, reads: { "0.label": "green" } },
  { command: "hsm groups describe", sends: `GET ${smd}/groups/green`, status: 200, reads: { "members.ids": [node] } },
  {
    ...{ command: "hsm groups update", sends: `PATCH ${smd}/groups/green`, status: 204 },
    body: { description: "ours", tags: ["b"] },
  },
  {
    ...{ command: "hsm groups members create", sends: `POST ${smd}/groups/green/members`, body: { id: other } },
    status: 201,
  },
  { command: "hsm groups members delete", sends: `DELETE ${smd}/groups/green/members/${other}`, status: 200 },
  { command: "hsm groups delete", sends: `DELETE ${smd}/groups/green`, status: 200 },
  { command: "hsm partitions list", sends: `GET ${smd}/partitions`, status: 200, reads: { "": [] } },
  { command: "hsm state components delete", sends: `DELETE ${smd}/State/Components/${other}`, status: 200 },
];

export const locks: readonly Call[] = [
  {
    ...{ command: "hsm locks status list", sends: `GET ${smd}/locks/status?type=Node&locked=false`, status: 200 },
    reads: { "Components.0.ID": node },
  },
  {
    ...{ command: "hsm locks disable create", sends: `POST ${smd}/locks/disable`, body: ids, status: 200 },
    reads: { "Counts.Success": 1 },
  },
  {
    ...{ command: "hsm locks repair create", sends: `POST ${smd}/locks/repair`, body: ids, status: 200 },
    reads: { "Counts.Success": 1 },
  },
  {
    ...{ command: "hsm locks lock create", sends: `POST ${smd}/locks/lock`, body: ids, status: 200 },
    reads: { "Counts.Success": 1 },
  },
  {
    ...{ command: "hsm locks reservations create", sends: `POST ${smd}/locks/reservations`, body: ids, status: 202 },
    ...{ reads: { "Success.0.ID": node }, keeps: { key: "Success.0.ReservationKey" } },
  },
  {
    ...{ command: "hsm locks reservations release create", body: held, status: 202 },
    ...{ sends: `POST ${smd}/locks/reservations/release`, reads: { "Counts.Success": 1 } },
  },
  {
    ...{ command: "hsm locks reservations create", sends: `POST ${smd}/locks/reservations`, body: ids, status: 202 },
    reads: { "Success.0.ID": node },
  },
  {
    ...{ command: "hsm locks reservations remove create", body: ids, status: 202 },
    ...{ sends: `POST ${smd}/locks/reservations/remove`, reads: { "Counts.Success": 1 } },
  },
  {
    ...{ command: "hsm locks unlock create", sends: `POST ${smd}/locks/unlock`, body: ids, status: 200 },
    reads: { "Counts.Success": 1 },
  },
  {
    ...{ command: "hsm locks service reservations create", body: { ...ids, ReservationDuration: 1 }, status: 202 },
    sends: `POST ${smd}/locks/service/reservations`,
    reads: { "Success.0.ExpirationTime": something },
    keeps: { key: "Success.0.ReservationKey", deputy: "Success.0.DeputyKey" },
  },
  {
    ...{ command: "hsm locks service reservations check create", status: 202 },
    sends: `POST ${smd}/locks/service/reservations/check`,
    body: { DeputyKeys: [{ ID: node, Key: "{deputy}" }] },
    reads: { "Success.0.ID": node },
  },
  {
    ...{ command: "hsm locks service reservations renew create", body: held, status: 202 },
    ...{ sends: `POST ${smd}/locks/service/reservations/renew`, reads: { "Counts.Success": 1 } },
  },
  {
    ...{ command: "hsm locks service reservations release create", body: held, status: 202 },
    ...{ sends: `POST ${smd}/locks/service/reservations/release`, reads: { "Counts.Success": 1 } },
  },
];
