import assert from "node:assert/strict";
import { test } from "node:test";
import type { Product } from "../bootprep/index.ts";
import { findProducts } from "./products.ts";

const product = (data: Record<string, unknown>): Product => ({ name: "cos", version: "1", data });
const cloneUrls = async (urls: readonly unknown[], gateway?: string) => {
  const products = urls.map((clone_url) => product({ configuration: { clone_url, commit: "c" } }));
  const found = await findProducts({ catalog: { products: async () => products }, gateway });
  return found?.map(({ data }) => (data["configuration"] as { clone_url: unknown }).clone_url);
};

test("repositories of products are on the gateway, where there is one", async () => {
  const url = "https://vcs.example.org:8443/vcs/cray/cos.git";
  assert.deepEqual(await cloneUrls([url]), [url]);
  assert.deepEqual(await cloneUrls([url, "/srv/cos", 5], "https://gw.example.org"), [
    "https://gw.example.org/vcs/cray/cos.git",
    "/srv/cos",
    5,
  ]);
  assert.deepEqual(await cloneUrls([url], "https://gw.example.org:9443"), [
    "https://gw.example.org:9443/vcs/cray/cos.git",
  ]);
});

test("without a catalog there are no products, not even none", async () => {
  assert.equal(await findProducts({ gateway: "https://gw.example.org" }), undefined);
  const catalog = { products: async () => [product({})] };
  assert.deepEqual(await findProducts({ catalog, gateway: "https://gw.example.org" }), [product({})]);
});
