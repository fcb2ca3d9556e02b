import assert from "node:assert/strict";
import { test } from "node:test";
import { NetkilnError } from "../lib/errors.ts";
import { kubeconfigOf } from "./kubeconfig.ts";

test("a kubeconfig names the gateway and the token's file, and holds no token", () => {
  assert.deepEqual(kubeconfigOf("https://gw.example.org/", "/root/token", "PEM"), {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      { name: "netkiln", cluster: { server: "https://gw.example.org", "certificate-authority-data": "UEVN" } },
    ],
    users: [{ name: "netkiln", user: { tokenFile: "/root/token" } }],
    contexts: [{ name: "netkiln", context: { cluster: "netkiln", user: "netkiln", namespace: "services" } }],
    "current-context": "netkiln",
  });
});

test("both mistakes are told together", () => {
  assert.throws(
    () => kubeconfigOf(undefined, "token", undefined),
    (error) => error instanceof NetkilnError && error.problems.length === 2,
  );
});
