/** Fields of one stanza; names are in lower case, as they mean the same in any case. */
export type Stanza = ReadonlyMap<string, string>;

/**
 * Reads deb822(5): stanzas with empty lines between them, fields that go on in lines which begin with a blank, and
 * comments. The lines of a value keep their breaks and lose their first blanks.
 */
export function parseDeb822(text: string): Stanza[] {
  const stanzas: Map<string, string>[] = [];
  let stanza: Map<string, string> | undefined;
  let name = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    if (line.trim() === "") {
      stanza = undefined;
      continue;
    }
    const field = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line);
    if (stanza === undefined) stanzas.push((stanza = new Map()));
    if (field === null) stanza.set(name, `${stanza.get(name) ?? ""}\n${line.trim()}`);
    else stanza.set((name = (field[1] ?? "").toLowerCase()), (field[2] ?? "").trimEnd());
  }
  return stanzas;
}
