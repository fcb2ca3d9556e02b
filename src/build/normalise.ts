import type { Stats } from "node:fs";
import { lstat, lutimes, open, readdir, rm, truncate } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { resolveRooted } from "../lib/rooted.ts";
import { toBuffer, toBytePath, type BytePath } from "./tree/byte-paths.ts";

/**
 * What differs from run to run and nobody needs, measured on two builds of the same recipe: caches, logs, backups,
 * and identities that each node must make for itself (host keys, machine-id, random seeds).
 * Folders end with "/": their content goes, they stay.
 */
const removed: readonly string[] = [
  "etc/.pwd.lock",
  "etc/group-",
  "etc/gshadow-",
  "etc/passwd-",
  "etc/shadow-",
  "etc/subgid-",
  "etc/subuid-",
  "root/.ansible/",
  "run/",
  "tmp/",
  "var/cache/apt/",
  "var/cache/debconf/config.dat-old",
  "var/cache/debconf/templates.dat-old",
  "var/cache/dnf/",
  "var/cache/ldconfig/aux-cache",
  "var/cache/man/",
  "var/cache/yum/",
  "var/cache/zypp/",
  "var/lib/apt/lists/",
  "var/lib/dbus/machine-id",
  "var/lib/dpkg/available-old",
  "var/lib/dpkg/diversions-old",
  "var/lib/dpkg/lock",
  "var/lib/dpkg/lock-frontend",
  "var/lib/dpkg/statoverride-old",
  "var/lib/dpkg/status-old",
  "var/lib/dpkg/triggers/Lock",
  "usr/lib/sysimage/rpm/.rpm.lock",
  "usr/lib/sysimage/rpm/rpmdb.sqlite-shm",
  "var/lib/rpm/.rpm.lock",
  "var/lib/rpm/rpmdb.sqlite-shm",
  "var/lib/systemd/credential.secret",
  "var/lib/systemd/random-seed",
  "var/lib/zypp/AnonymousUniqueId",
  "var/lib/zypp/AutoInstalled",
  "var/lib/zypp/LastDistributionFlavor",
  "var/log/alternatives.log",
  "var/log/apt/",
  "var/log/bootstrap.log",
  "var/log/dpkg.log",
  "var/log/faillog",
  "var/log/journal/",
  "var/log/lastlog",
  "var/log/btmp",
  "var/log/wtmp",
  "var/log/zypp/",
  "var/log/zypper.log",
  "var/tmp/",
];
const removedPatterns: readonly { readonly folder: string; readonly name: RegExp }[] = [
  { folder: "etc/ssh", name: /^ssh_host_.*_key(\.pub)?$/ },
  { folder: "var/lib/dnf", name: /^history\.sqlite(-shm|-wal)?$/ },
  { folder: "var/lib/rpm", name: /^__db\.\d+$/ },
  { folder: "var/log", name: /^(dnf(\.librepo|\.rpm)?|hawkey)\.log(\.\d+)?$/ },
];
/** Secrets that packages make while they are installed; a playbook may put the site's own there. */
const removedFromBase: readonly string[] = ["etc/munge/munge.key"];
/** SQLite's log of a database that was closed in order; one that holds something is part of the database. */
const removedWhenEmpty: readonly string[] = ["usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "var/lib/rpm/rpmdb.sqlite-wal"];
/** Emptied, not removed: systemd reads an empty machine-id as "make one at boot". */
const emptied: readonly string[] = ["etc/machine-id"];

/**
 * Makes a layer's folder the same for the same work: removes what must not be kept, and brings every time that is
 * later than `epoch` (seconds) back to it. The folder must not be mounted.
 */
export async function normalise(upper: string, epoch: number, isBase: boolean): Promise<void> {
  for (const path of isBase ? [...removed, ...removedFromBase] : removed) {
    if (!path.endsWith("/")) {
      await removeFile(await locate(upper, path));
      continue;
    }
    const folder = await locate(upper, path, true);
    for (const name of await namesIn(folder)) await rm(toBuffer(`${folder}/${name}`), { recursive: true, force: true });
  }
  for (const { folder, name: pattern } of removedPatterns) {
    const place = await locate(upper, folder, true);
    for (const name of await namesIn(place)) {
      if (pattern.test(name)) await removeFile(`${place}/${name}`);
    }
  }
  for (const path of removedWhenEmpty) {
    const file = await locate(upper, path);
    const found = await look(file);
    if (file !== undefined && found?.isFile() === true && found.size === 0) await rm(toBuffer(file));
  }
  for (const path of emptied) {
    const file = await locate(upper, path);
    const found = await look(file);
    if (file !== undefined && found?.isFile() === true && found.size > 0) await truncate(toBuffer(file));
  }
  await clampTimes(toBytePath(upper), epoch);
}

/**
 * Where a path of the layer is on this machine. Links on the way are followed as in the tree, so that none leads out of
 * the layer: what is found is removed. Undefined when the layer has nothing there.
 */
async function locate(upper: string, path: string, followLast = false): Promise<BytePath | undefined> {
  // Too many links lead nowhere.
  const place = await resolveRooted(upper, path, followLast).catch(() => undefined);
  return place === undefined ? undefined : toBytePath(join(upper, place));
}

async function look(place: BytePath | undefined): Promise<Stats | undefined> {
  return place === undefined ? undefined : lstat(toBuffer(place)).catch(() => undefined);
}

async function namesIn(folder: BytePath | undefined): Promise<BytePath[]> {
  return folder === undefined ? [] : readdir(toBuffer(folder), { encoding: "latin1" }).catch(() => []);
}

/** Leaves whiteouts (character devices) alone: they say that a lower layer's file is gone. */
async function removeFile(place: BytePath | undefined): Promise<void> {
  const found = await look(place);
  if (place !== undefined && found?.isFile() === true) await rm(toBuffer(place));
}

const compiledFolder = "__pycache__";

async function clampTimes(place: BytePath, epoch: number): Promise<void> {
  const found = await lstat(toBuffer(place));
  if (found.isDirectory()) {
    // Compiled files are written to when it is their source's turn, so their own comes after it.
    const isCache = (name: BytePath) => Number(name === compiledFolder);
    const names = (await readdir(toBuffer(place), { encoding: "latin1" })).sort((a, b) => isCache(a) - isCache(b));
    for (const name of names) await clampTimes(`${place}/${name}`, epoch);
  }
  if (found.mtimeMs <= epoch * 1000) return;
  if (found.isFile() && place.endsWith(".py")) await keepCompiled(place, epoch);
  await lutimes(toBuffer(place), epoch, epoch);
}

/**
 * A compiled Python file names the time of its source (PEP 552: flags 0, then the time as 32 bits, little endian);
 * with the old time in it, it would be compiled again at every start. No link is followed: it may lead out of the layer.
 */
async function keepCompiled(source: BytePath, epoch: number): Promise<void> {
  const cache = `${dirname(source)}/${compiledFolder}`;
  if ((await look(cache))?.isDirectory() !== true) return;
  const stem = `${basename(source, ".py")}.`;
  for (const name of await namesIn(cache)) {
    if (!name.startsWith(stem) || !name.endsWith(".pyc")) continue;
    const compiled = `${cache}/${name}`;
    if ((await look(compiled))?.isFile() === true) await noteTime(compiled, epoch);
  }
}

async function noteTime(compiled: BytePath, epoch: number): Promise<void> {
  const file = await open(toBuffer(compiled), "r+");
  try {
    const header = Buffer.alloc(12);
    const { bytesRead } = await file.read(header, 0, header.length, 0);
    if (bytesRead < header.length || header.readUInt32LE(4) !== 0) return;
    header.writeUInt32LE(epoch, 8);
    await file.write(header, 0, header.length, 0);
  } finally {
    await file.close();
  }
}
