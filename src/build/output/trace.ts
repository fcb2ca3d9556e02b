import { posix } from "node:path";

/** What a program looked at in a tree, by the names that it used, or as the kernel resolved them. */
export interface Looks {
  /** Opened, examined, executed, or looked for in vain; absolute, seen from the tree, links and ".." not resolved. */
  readonly paths: readonly string[];
  /** Folders that were listed. */
  readonly folders: readonly string[];
}

export interface Traced extends Looks {
  /** A line of the log that does not tell what was looked at; what it hides is not in the looks. */
  readonly unclear: string | undefined;
}

/** Not of the tree: made for the run of the program. */
const elsewhere = /^\/(proc|sys|dev|run|tmp)(\/|$)/;
/** Leads from /proc into the tree, by another name. */
const aroundProc = /^\/proc\/[^/]+\/(root|cwd|task)(\/|$)/;

/**
 * The calls that say all of what a program looks at: those with names, those that list, and those that change what a
 * relative name means. A "?" passes over what an architecture does not have.
 */
export const tracedCalls = "%file,?fork,?vfork,clone,?clone3,fchdir,?getdents,getdents64";

/** What relative and absolute names mean to a process; places are strace's own, so the tree is below its mount point. */
interface View {
  root: string;
  /** Undefined when it is not known. */
  folder: string | undefined;
  /** Between threads: one may change it while another uses it. */
  shared: boolean;
}

/** Calls with two names that both count. */
const twoNames = new Set(["rename", "renameat", "renameat2", "link", "linkat"]);
/** Calls that change what a name means in a way that is not followed here. */
const remounts = new Set(["mount", "umount", "umount2", "pivot_root", "move_mount", "open_tree"]);
const pathless = new Set(["getcwd"]);

/**
 * Reads the log of `strace -f -q -y -e trace=${tracedCalls}` about a program that runs chrooted into `tree`, while
 * strace itself does not. Names are as the program gives them; in angle brackets -y adds what a descriptor means, and
 * what AT_FDCWD means, as strace sees it.
 *
 *   812 openat(AT_FDCWD</mnt/usr/lib>, "dracut/x", O_RDONLY <unfinished ...>
 *   813 chdir("/tmp")                     = 0
 *   812 <... openat resumed>)             = 3</mnt/usr/lib/dracut/x>
 *
 * Calls without such brackets are read with the working folder that the process had: it is followed through chdir,
 * fchdir, chroot and the making of processes.
 */
export function readTrace(log: string, tree: string): Traced {
  const found = collect(tree);
  const views = new Map<number, View>();
  const unfinished = new Map<number, string>();
  /** Lines of processes whose parent has not told yet that it made them. */
  const early = new Map<number, string[]>();
  let isFirst = true;

  const take = (pid: number, text: string): void => {
    if (isFirst) views.set(pid, { root: "/", folder: undefined, shared: false });
    isFirst = false;
    const view = views.get(pid);
    if (view === undefined) {
      const lines = early.get(pid) ?? [];
      early.set(pid, lines);
      lines.push(text);
      return;
    }
    if (text.startsWith("+++ ")) {
      // The number can be another process's from here on.
      if (/^\+\+\+ (exited|killed)/.test(text)) views.delete(pid);
      return;
    }
    if (text.endsWith("<unfinished ...>")) {
      unfinished.set(pid, text.slice(0, -"<unfinished ...>".length));
      return;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    const line = resumed === undefined ? text : `${unfinished.get(pid) ?? ""}${resumed}`;
    unfinished.delete(pid);
    const child = readCall(line, view, found);
    if (child === undefined) return;
    views.set(child.pid, child.view);
    const waiting = early.get(child.pid) ?? [];
    early.delete(child.pid);
    for (const next of waiting) take(child.pid, next);
  };

  for (const line of log.split("\n")) {
    const [, pid, text] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (text !== undefined) take(Number(pid), text);
    else if (line !== "") found.doubt(line);
  }
  // Whoever was killed in the middle of a call may have got its answer.
  for (const [pid, line] of unfinished) readCall(line, views.get(pid) ?? lost, found);
  for (const lines of early.values()) for (const line of lines) if (!line.startsWith("+++ ")) found.doubt(line);
  return found.result();
}

const lost: View = { root: "/", folder: undefined, shared: true };

function collect(tree: string) {
  const paths = new Set<string>();
  const folders = new Set<string>();
  let unclear: string | undefined;
  /** Undefined for what is not below the tree's mount point: strace's own side. */
  const inside = (place: string) =>
    place === tree ? "/" : place.startsWith(`${tree}/`) ? place.slice(tree.length) : undefined;
  const doubt = (line: string) => {
    unclear ??= line;
  };
  const add = (into: Set<string>, place: string, line: string) => {
    const path = inside(place);
    if (path === undefined) return;
    // ".." stays: what it means depends on the links before it, which are in the tree.
    const clean = `/${path
      .split("/")
      .filter((part) => part !== "" && part !== ".")
      .join("/")}`;
    if (!elsewhere.test(clean)) return void into.add(clean);
    const escapes = clean.includes("/../") && !elsewhere.test(posix.normalize(clean));
    if (escapes || aroundProc.test(clean)) doubt(line);
  };
  return {
    doubt,
    look: (place: string, line: string) => add(paths, place, line),
    list: (place: string, line: string) => add(folders, place, line),
    /** Whether names below this root mean what they mean in the tree, or nothing of it. */
    isPlainRoot: (root: string) => root === "/" || root === tree || elsewhere.test(inside(root) ?? "/"),
    result: (): Traced => ({ paths: [...paths], folders: [...folders], unclear }),
  };
}

type Found = ReturnType<typeof collect>;

/** A descriptor or AT_FDCWD, with the place that it means. */
const descriptor = String.raw`(AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>(?: ?\(deleted\))?`;
const nameArgument = new RegExp(String.raw`(?:${descriptor}, )?"((?:[^"\\]|\\.)*)"(\.\.\.)?`, "g");
const returned = new RegExp(String.raw`\) += ${descriptor}$`);
const firstDescriptor = new RegExp(String.raw`^${descriptor}`);

/** Takes one call into account; returns the process that it made. */
function readCall(line: string, view: View, found: Found): { pid: number; view: View } | undefined {
  const [, call = "", rest = ""] = /^(\w+)\((.*)$/s.exec(line) ?? [];
  const result = /\) += (-?\d+)/.exec(rest.slice(rest.lastIndexOf(") ")))?.[1];
  const succeeded = result !== undefined && !result.startsWith("-");
  if (call === "") found.doubt(line);
  if (/^(v?fork|clone3?)$/.test(call)) {
    if (!succeeded) return undefined;
    if (!rest.includes("CLONE_FS")) return { pid: Number(result), view: { ...view, shared: false } };
    view.shared = true;
    return { pid: Number(result), view };
  }
  if (remounts.has(call) && result !== undefined && succeeded) found.doubt(line);
  if (pathless.has(call)) return undefined;
  if (call === "fchdir" || call.startsWith("getdents")) {
    const place = placeOf(firstDescriptor.exec(rest)?.[2]);
    if (place === undefined) found.doubt(line);
    else if (call === "fchdir") moveTo(view, place, succeeded);
    else found.list(place, line);
    return undefined;
  }
  const places = namedPlaces(call, rest, line, view, found);
  const symbolic = call.startsWith("symlink");
  if (symbolic && places[1] !== undefined) lookBehindLink(rest, places[1], line, view, found);
  for (const place of symbolic ? places.slice(1) : places) if (place !== undefined) found.look(place, line);
  const opened = returned.exec(rest)?.[2];
  if (opened?.startsWith("/") === true) lookAtDescriptor(opened, line, found);
  if (call === "chdir") moveTo(view, places[0], succeeded);
  if (call === "chroot" && succeeded) {
    if (view.shared || places[0] === undefined || !found.isPlainRoot(places[0])) found.doubt(line);
    view.root = places[0] ?? view.root;
  }
  return undefined;
}

/** The places that a call names; undefined in the place of one that cannot be told. */
function namedPlaces(call: string, rest: string, line: string, view: View, found: Found): (string | undefined)[] {
  const count = twoNames.has(call) || call.startsWith("symlink") ? 2 : 1;
  return [...rest.matchAll(nameArgument)].slice(0, count).map(([, kind, base, raw = "", cut], index) => {
    const from = base?.startsWith("/") === true ? placeOf(base) : undefined;
    if (kind === "AT_FDCWD" && from !== undefined && !view.shared) view.folder = from;
    // The first name of a link is its content, which lookBehindLink reads.
    if (call.startsWith("symlink") && index === 0) return undefined;
    const name = unescape(raw);
    // An empty name means the descriptor itself (AT_EMPTY_PATH), or nothing.
    if (name === "") return undefined;
    const folder = from ?? view.folder;
    const place = name === undefined ? undefined : name.startsWith("/") ? below(view.root, name) : at(folder, name);
    if (place === undefined || cut !== undefined) found.doubt(line);
    return place;
  });
}

/** A link that the program makes can lead from its own files into the tree, and later names go through it. */
function lookBehindLink(rest: string, link: string, line: string, view: View, found: Found): void {
  const target = unescape(/"((?:[^"\\]|\\.)*)"/.exec(rest)?.[1] ?? "");
  if (target === undefined) return found.doubt(line);
  found.look(
    target.startsWith("/") ? below(view.root, target) : posix.normalize(`${posix.dirname(link)}/${target}`),
    line,
  );
}

function lookAtDescriptor(opened: string, line: string, found: Found): void {
  const place = placeOf(opened);
  if (place === undefined) found.doubt(line);
  else found.look(place, line);
}

function moveTo(view: View, place: string | undefined, succeeded: boolean): void {
  if (succeeded) view.folder = view.shared ? undefined : place;
}

function below(root: string, name: string): string {
  return root === "/" ? name : `${root}${name}`;
}

function at(folder: string | undefined, name: string): string | undefined {
  return folder === undefined ? undefined : `${folder}/${name}`;
}

/** Undefined for what is no place: a pipe, a socket, a folder that cannot be reached. */
function placeOf(raw: string | undefined): string | undefined {
  const place = raw === undefined ? undefined : unescape(raw);
  return place?.startsWith("/") === true ? place : undefined;
}

const letters: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12 };

/** Takes strace's escapes away (those of C, and octal numbers of bytes); undefined for what is not UTF-8. */
function unescape(text: string): string | undefined {
  if (!text.includes("\\")) return text;
  const bytes: number[] = [];
  for (const [part, octal, letter] of text.matchAll(/\\([0-7]{1,3})|\\(.)|[^\\]+/gs)) {
    if (octal !== undefined) bytes.push(parseInt(octal, 8));
    else if (letter !== undefined) bytes.push(letters[letter] ?? letter.charCodeAt(0));
    else bytes.push(...Buffer.from(part));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(bytes));
  } catch {
    return undefined;
  }
}
