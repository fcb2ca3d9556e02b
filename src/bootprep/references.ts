/** What the values of a bootprep file mean to each other: unique names, references that lead somewhere, no circles. */
import type { Problem } from "../lib/errors.ts";
import { formatPath, type YamlSource } from "../lib/yaml.ts";
import { isMapping, nearest } from "./shape.ts";
import { indexes, readyText, refNames, valueAt, type Path, type Texts } from "./texts.ts";

export function checkReferences(source: YamlSource, texts: Texts): readonly Problem[] {
  return [
    ...duplicates(source, "configurations", "name", (path) => readyText(texts.at(path))),
    ...duplicates(source, "images", "name", (path) => readyText(texts.at(path))),
    ...duplicates(source, "images", "ref_name", (path) => stringAt(source.value, path)),
    ...duplicates(source, "session_templates", "name", (path) => readyText(texts.at(path))),
    ...emptyNames(source, texts),
    ...danglingReferences(source, texts),
    ...circles(source),
    ...basesThatAreReplaced(source, texts),
    ...emptyRootfs(source, texts),
  ];
}

/** What is accepted but should be written otherwise. */
export function deprecations(source: YamlSource): readonly Problem[] {
  const { file, value } = source;
  const warnings: Problem[] = [];
  for (const index of indexes(value, "images")) {
    const path = ["images", index, "ims"];
    if (valueAt(value, path) === undefined) continue;
    const hint = "write base: {ims: {type: recipe or image, ...}} instead";
    warnings.push({
      file,
      ...source.atKey(path),
      message: `images[${index}].ims is deprecated`,
      hint,
    });
  }
  for (const index of indexes(value, "session_templates")) {
    const image = ["session_templates", index, "image"];
    if (typeof valueAt(value, image) === "string") {
      const hint = "write image: {image_ref: ...} or image: {ims: {name: ...}} instead";
      warnings.push({
        file,
        ...source.at(image),
        message: `${formatPath(image)} as plain text is deprecated`,
        hint,
      });
    }
    const parameters = ["session_templates", index, "bos_parameters"];
    for (const key of Object.keys(valueAt(value, parameters) ?? {})) {
      if (key === "boot_sets") continue;
      const path = [...parameters, key];
      warnings.push({
        file,
        ...source.atKey(path),
        message: `${formatPath(path)} has no effect: only boot_sets is read`,
      });
    }
  }
  return warnings;
}

/** One mistake for each item whose name another item before it has. */
function duplicateNames(
  items: readonly { readonly path: Path; readonly name: string }[],
  problem: (path: Path, message: string) => Problem,
): readonly Problem[] {
  const first = new Map<string, Path>();
  return items.flatMap(({ path, name }) => {
    const earlier = first.get(name);
    if (earlier !== undefined)
      return [problem(path, `${formatPath(path)}: "${name}" is taken by ${formatPath(earlier.slice(0, 2))}`)];
    first.set(name, path);
    return [];
  });
}

function duplicates(
  source: YamlSource,
  section: string,
  key: string,
  read: (path: Path) => string | undefined,
): readonly Problem[] {
  const items = indexes(source.value, section).flatMap((index) => {
    const path = [section, index, key];
    const name = read(path);
    return name === undefined ? [] : [{ path, name }];
  });
  return duplicateNames(items, (path, message) => ({
    file: source.file,
    ...source.at(path),
    message,
  }));
}

function emptyNames(source: YamlSource, texts: Texts): readonly Problem[] {
  return ["configurations", "images", "session_templates"].flatMap((section) =>
    indexes(source.value, section).flatMap((index) => {
      const path = [section, index, "name"];
      if (readyText(texts.at(path)) !== "") return [];
      return [
        {
          file: source.file,
          ...source.at(path),
          message: `${formatPath(path)}: must not be empty`,
        },
      ];
    }),
  );
}

function danglingReferences(source: YamlSource, texts: Texts): readonly Problem[] {
  const refs = refNames(source.value);
  const images = indexes(source.value, "images").map((index) => {
    const path = ["images", index, "base", "image_ref"];
    return { path, name: stringAt(source.value, path) };
  });
  const templates = indexes(source.value, "session_templates").map((index) => {
    const path = ["session_templates", index, "image", "image_ref"];
    return { path, name: readyText(texts.at(path)) };
  });
  return [...images, ...templates].flatMap(({ path, name }) => {
    if (name === undefined || refs.has(name)) return [];
    const meant = nearest(name, [...refs.keys()]);
    const known = refs.size === 0 ? "no image of this file has a ref_name" : `known: ${[...refs.keys()].join(", ")}`;
    const message = `${formatPath(path)}: no image of this file has the ref_name "${name}"`;
    return [
      {
        file: source.file,
        ...source.at(path),
        message,
        hint: meant === undefined ? known : `did you mean ${meant}?`,
      },
    ];
  });
}

/** Each image has at most one base in the file, so following bases finds every circle, and each of them once. */
function circles(source: YamlSource): readonly Problem[] {
  const refs = refNames(source.value);
  const done = new Set<number>();
  const problems: Problem[] = [];
  for (const start of indexes(source.value, "images")) {
    const way: number[] = [];
    let index: number | undefined = start;
    while (index !== undefined && !done.has(index) && !way.includes(index)) {
      way.push(index);
      index = refs.get(stringAt(source.value, ["images", index, "base", "image_ref"]) ?? "");
    }
    if (index !== undefined && way.includes(index)) {
      const circle = way.slice(way.indexOf(index));
      const names = [...circle, index].map((member) => stringAt(source.value, ["images", member, "ref_name"]));
      const path = ["images", index, "base", "image_ref"];
      const message = `${formatPath(path)}: images are based on each other in a circle: ${names.join(" -> ")}`;
      problems.push({ file: source.file, ...source.at(path), message });
    }
    for (const member of way) done.add(member);
  }
  return problems;
}

/** As sat: an image that starts from another by its IMS name may meet it before or after it is rebuilt. */
function basesThatAreReplaced(source: YamlSource, texts: Texts): readonly Problem[] {
  const made = new Map<string, number>();
  for (const index of indexes(source.value, "images")) {
    const name = readyText(texts.at(["images", index, "name"]));
    if (name !== undefined && !made.has(name)) made.set(name, index);
  }
  return indexes(source.value, "images").flatMap((index) => {
    const { path, name } = imageBaseByName(source.value, index, texts);
    const maker = name === undefined ? undefined : made.get(name);
    if (maker === undefined) return [];
    const message = `${formatPath(path)}: "${name}" is made by images[${maker}] of this file`;
    const hint = `give images[${maker}] a ref_name and use base: {image_ref: ...}`;
    return [{ file: source.file, ...source.at(path), message, hint }];
  });
}

function imageBaseByName(document: unknown, index: number, texts: Texts): { path: Path; name: string | undefined } {
  const deprecated = ["images", index, "ims"];
  if (valueAt(document, [...deprecated, "is_recipe"]) === false) {
    return { path: [...deprecated, "name"], name: stringAt(document, [...deprecated, "name"]) };
  }
  const base = ["images", index, "base", "ims"];
  const isImage = valueAt(document, [...base, "type"]) === "image";
  return {
    path: [...base, "name"],
    name: isImage ? readyText(texts.at([...base, "name"])) : undefined,
  };
}

/** As sat, which refuses them because BOS would write a root that names no provider. */
function emptyRootfs(source: YamlSource, texts: Texts): readonly Problem[] {
  return indexes(source.value, "session_templates").flatMap((index) => {
    const sets = ["session_templates", index, "bos_parameters", "boot_sets"];
    const found = valueAt(source.value, sets);
    return Object.keys(isMapping(found) ? found : {}).flatMap((name) =>
      ["rootfs_provider", "rootfs_provider_passthrough"].flatMap((key) => {
        const path = [...sets, name, key];
        if (readyText(texts.at(path)) !== "") return [];
        return [
          {
            file: source.file,
            ...source.at(path),
            message: `${formatPath(path)}: must not be empty`,
            hint: "leave the key out",
          },
        ];
      }),
    );
  });
}

function stringAt(document: unknown, path: Path): string | undefined {
  const value = valueAt(document, path);
  return typeof value === "string" ? value : undefined;
}
