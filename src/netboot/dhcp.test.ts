import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../node/index.ts";
import { dnsmasqConfig } from "./index.ts";

const node = {
  alias: "nid000001",
  interfaces: [
    { mac: "52:54:00:00:00:01", ip: "10.1.0.11" },
    { mac: "52:54:00:00:00:02", ip: undefined },
  ],
} as unknown as Node;

test("every interface is known, and only the first bears the host name", () => {
  const lines = dnsmasqConfig([node], { door: "10.1.0.1:8080", interface: "br0" }).split("\n");
  assert.ok(lines.includes("dhcp-host=52:54:00:00:00:01,10.1.0.11,nid000001"));
  assert.ok(lines.includes("dhcp-host=52:54:00:00:00:02"));
  assert.ok(lines.includes("dhcp-range=10.1.0.0,static"));
  assert.ok(lines.includes("dhcp-boot=tag:ipxe,http://10.1.0.1:8080/boot.ipxe"));
  assert.ok(lines.includes("interface=br0"));
});

test("a range is taken as given, and nothing can add a line", () => {
  const text = dnsmasqConfig([], { door: "d", range: "10.1.0.100,10.1.0.150,10m" });
  assert.match(text, /^dhcp-range=10\.1\.0\.100,10\.1\.0\.150,10m$/m);
  assert.doesNotMatch(text, /^interface=/m);
  assert.throws(() => dnsmasqConfig([], { door: "d\nport=53" }), /door holds a line break/);
});
