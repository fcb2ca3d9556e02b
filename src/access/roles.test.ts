import assert from "node:assert/strict";
import { test } from "node:test";
import { isOpenRead, leastRole, mayAct } from "./roles.ts";

test("who may do what", () => {
  const native = "/apis/netkiln/v1";
  const expected = [
    ["GET", `${native}/images`, "reader"],
    ["HEAD", `${native}/images`, "reader"],
    ["POST", `${native}/builds`, "operator"],
    ["POST", `${native}/builds/plan`, "reader"],
    ["POST", `${native}/bootprep/plans`, "operator"],
    ["POST", `${native}/store/gc-plans`, "reader"],
    ["DELETE", "/apis/ims/v3/deleted/images", "admin"],
    ["DELETE", "/apis/ims/deleted/images/:id", "admin"],
    ["DELETE", "/apis/ims/v3/images/:id", "operator"],
    ["GET", "/cloud-init/admin/groups/:name", "operator"],
    ["GET", "/boot/v1/bootparameters", "operator"],
    ["GET", "/boot/v1/bootscript", "reader"],
    ["POST", "/hsm/v2/State/Components/ByNID/Query", "reader"],
    ["POST", "/apis/smd/hsm/v2/locks/service/reservations/check", "reader"],
    ["DELETE", `${native}/images/:name`, "operator"],
    ["POST", `${native}/images/:name/destroy`, "admin"],
    ["POST", `${native}/store/gc-runs`, "admin"],
    ["GET", `${native}/store/gc-runs/:id`, "reader"],
    ["GET", `${native}/accounts`, "admin"],
    ["PUT", `${native}/accounts/:name/password`, "admin"],
    ["PUT", `${native}/accounts/:name/role`, "admin"],
    ["GET", `${native}/tokens`, "admin"],
    ["POST", `${native}/tenants`, "admin"],
    ["POST", `${native}/certificate/renew`, "admin"],
    ["POST", "/apis/smd/hsm/v2/locks/status", "reader"],
    ["POST", "/apis/smd/hsm/v2/locks/lock", "operator"],
    ["POST", "/apis/power-control/v1/power-status", "reader"],
    ["GET", "/cloud-init/admin/impersonation/:id/user-data", "admin"],
    ["GET", "/api/v1/namespaces/services/secrets/vcs-user-credentials", "operator"],
  ] as const;
  for (const [method, path, role] of expected) assert.equal(leastRole(method, path), role, `${method} ${path}`);
  assert.deepEqual(
    [
      mayAct("admin", "reader"),
      mayAct("operator", "operator"),
      mayAct("reader", "operator"),
      mayAct("operator", "admin"),
    ],
    [true, true, false, false],
  );
});

test("only what ochami asks without a token can be open", () => {
  assert.equal(isOpenRead("GET", "/hsm/v2/State/Components"), true);
  assert.equal(isOpenRead("GET", "/apis/smd/hsm/v2/Inventory/EthernetInterfaces"), true);
  assert.equal(isOpenRead("GET", "/boot/v1/bootscript"), true);
  for (const path of ["hosts", "endpoint-history", "service/status", "service/storage/status"]) {
    assert.equal(isOpenRead("GET", `/boot/v1/${path}`), true, path);
  }
  for (const path of ["/hsm/v2/service/ready", "/liveness", "/apis/power-control/v1/health"]) {
    assert.equal(isOpenRead("GET", path), true, path);
  }
  assert.equal(isOpenRead("GET", "/boot/v1/dumpstate"), false);
  assert.equal(isOpenRead("GET", "/boot/v1/service/anything"), false);
  assert.equal(isOpenRead("POST", "/boot/v1/hosts"), false);
  assert.equal(isOpenRead("GET", "/power-status"), false);
  assert.equal(isOpenRead("POST", "/hsm/v2/State/Components"), false);
  assert.equal(isOpenRead("GET", "/hsm/v2/State/Components/:xname"), false);
  assert.equal(isOpenRead("GET", "/boot/v1/bootparameters"), false);
});
