import assert from "node:assert/strict";
import { test } from "node:test";
import { servedFrom } from "./index.ts";

const gateway = "https://api-gw.example.org";
const repositories = { "cray/cos": "/srv/git/cos.git" };

test("a clone URL of this server is the repository that it serves", () => {
  for (const url of [
    `${gateway}/vcs/cray/cos.git`,
    `${gateway}/vcs/cray/cos`,
    `${gateway}:443/vcs/cray/cos.git`,
    "https://crayvcs@api-gw.example.org/vcs/cray/cos.git",
  ]) {
    assert.equal(servedFrom(url, gateway, repositories), "/srv/git/cos.git", url);
  }
  for (const url of [
    "https://other.example.org/vcs/cray/cos.git",
    "http://api-gw.example.org/vcs/cray/cos.git",
    `${gateway}/vcs/cray/other.git`,
    `${gateway}/git/cray/cos.git`,
    `${gateway}/vcs/toString`,
    "/srv/other",
  ]) {
    assert.equal(servedFrom(url, gateway, repositories), undefined, url);
  }
  assert.equal(servedFrom(`${gateway}/vcs/cray/cos.git`, undefined, repositories), undefined);
});
