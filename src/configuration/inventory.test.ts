import assert from "node:assert/strict";
import { test } from "node:test";
import { inventoryText, roleGroups } from "./inventory.ts";

test("hosts stand in their groups, with their addresses, and are known to ssh by their names", () => {
  const text = inventoryText([
    { name: "x1", address: "10.0.0.1", groups: ["Compute", "blue"] },
    { name: "x2", address: undefined, groups: ["blue"] },
  ]);
  const { all } = JSON.parse(text) as { all: { vars: object; hosts: object; children: object } };
  assert.deepEqual(all.hosts, {
    x1: { ansible_host: "10.0.0.1", ansible_ssh_extra_args: "-o HostKeyAlias=x1" },
    x2: { ansible_ssh_extra_args: "-o HostKeyAlias=x2" },
  });
  assert.deepEqual(all.children, { Compute: { hosts: { x1: {} } }, blue: { hosts: { x1: {}, x2: {} } } });
  assert.deepEqual(all.vars, { cray_cfs_image: false, ansible_connection: "ssh" });
});

test("a node is in the group of its role, and in that of its role and its sub-role", () => {
  assert.deepEqual(roleGroups({ role: "Compute", subRole: undefined }), ["Compute"]);
  assert.deepEqual(roleGroups({ role: "Application", subRole: "UAN" }), ["Application", "Application_UAN"]);
});
