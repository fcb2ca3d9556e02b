import { lstat, lutimes, open, readdir, rm, truncate } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

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
      await removeFile(join(upper, path));
      continue;
    }
    for (const name of await readdir(join(upper, path)).catch(() => [])) {
      await rm(join(upper, path, name), { recursive: true, force: true });
    }
  }
  for (const { folder, name: pattern } of removedPatterns) {
    for (const name of await readdir(join(upper, folder)).catch(() => [])) {
      if (pattern.test(name)) await removeFile(join(upper, folder, name));
    }
  }
  for (const path of removedWhenEmpty) {
    const file = await lstat(join(upper, path)).catch(() => undefined);
    if (file?.isFile() === true && file.size === 0) await rm(join(upper, path));
  }
  for (const path of emptied) {
    const file = await lstat(join(upper, path)).catch(() => undefined);
    if (file?.isFile() && file.size > 0) await truncate(join(upper, path));
  }
  await clampTimes(upper, epoch);
}

/** Leaves whiteouts (character devices) alone: they say that a lower layer's file is gone. */
async function removeFile(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isFile() === true) await rm(path);
}

async function clampTimes(path: string, epoch: number): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory()) {
    const names = await readdir(path);
    for (const name of names) await clampTimes(join(path, name), epoch);
  }
  if (found.mtimeMs <= epoch * 1000) return;
  if (found.isFile() && path.endsWith(".py")) await keepCompiled(path, epoch);
  await lutimes(path, epoch, epoch);
}

/**
 * A compiled Python file names the time of its source (PEP 552: flags 0, then the time as 32 bits, little endian);
 * with the old time in it, it would be compiled again at every start.
 */
async function keepCompiled(source: string, epoch: number): Promise<void> {
  const cache = join(dirname(source), "__pycache__");
  const stem = `${basename(source, ".py")}.`;
  for (const name of await readdir(cache).catch(() => [])) {
    if (!name.startsWith(stem) || !name.endsWith(".pyc")) continue;
    const file = await open(join(cache, name), "r+");
    try {
      const header = Buffer.alloc(12);
      await file.read(header, 0, header.length, 0);
      if (header.readUInt32LE(4) !== 0) continue;
      header.writeUInt32LE(epoch, 8);
      await file.write(header, 0, header.length, 0);
    } finally {
      await file.close();
    }
  }
}
