import assert from "node:assert/strict";
import { test } from "node:test";
import { capabilityText } from "./capabilities.ts";

const cases: [what: string, value: string, text: string][] = [
  ["of ping", "0x0100000200200000000000000000000000000000", "cap_net_raw=ep"],
  ["several, without the effective bit", "0x0000000200300000000000000000000000000000", "cap_net_admin,cap_net_raw=p"],
  ["of the high half", "0x010000020000000000000000c001000000000000", "cap_perfmon,cap_bpf,cap_checkpoint_restore=ep"],
  ["inheritable too", "0x0100000200200000002000000000000000000000", "cap_net_raw=eip"],
  ["different sets", "0x0100000200200000010000000000000000000000", "cap_net_raw=ep cap_chown=ei"],
  ["none", "0x0000000200000000000000000000000000000000", "="],
  ["of a user namespace", "0x0100000300200000000000000000000000000000e8030000", "cap_net_raw=ep [rootid=1000]"],
  ["one that has no name yet", "0x0100000200000000000000000000008000000000", "63=ep"],
  ["of an unknown form", "0x01", "0x01"],
];
for (const [what, value, text] of cases) {
  test(`capabilities ${what}: ${text}`, () => assert.equal(capabilityText(value), text));
}
