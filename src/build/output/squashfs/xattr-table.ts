import type { Xattrs } from "../../tree/xattrs.ts";
import { littleEndian, none } from "./format.ts";
import { asNumber, lookupTable, openMetadata, type LookupTable } from "./metadata.ts";

/** The name spaces that squashfs has numbers for. */
const nameSpaces = ["user.", "trusted.", "security."];

export interface XattrTable {
  /** The number of a set of attributes, the same for equal sets; `none` where there is nothing to store. */
  add(xattrs: Xattrs): number;
  /** The table for a place in the image; undefined when it would be empty. */
  end(place: number): LookupTable | undefined;
}

export function openXattrTable(level: number): XattrTable {
  const pairs = openMetadata(level);
  const numbers = new Map<string, number>();
  const sets: Buffer[] = [];
  return {
    add: (xattrs) => {
      const stored = [...xattrs].flatMap(([name, value]) => encodePair(name, value) ?? []).sort(Buffer.compare);
      if (stored.length === 0) return none;
      const set = Buffer.concat(stored);
      const key = set.toString("latin1");
      const known = numbers.get(key);
      if (known !== undefined) return known;
      sets.push(littleEndian([8, asNumber(pairs.append(set))], [4, stored.length], [4, set.length]));
      numbers.set(key, sets.length - 1);
      return sets.length - 1;
    },
    end: (place) => {
      if (sets.length === 0) return undefined;
      const stored = pairs.end();
      const heading = littleEndian([8, place], [4, sets.length], [4, 0]);
      const table = lookupTable(sets, place + stored.length, level, heading);
      return { bytes: Buffer.concat([stored, table.bytes]), start: table.start };
    },
  };
}

function encodePair(name: string, value: Buffer): Buffer | undefined {
  const nameSpace = nameSpaces.findIndex((prefix) => name.startsWith(prefix));
  if (nameSpace < 0) return undefined;
  // readXattrs gives names as bytes, each of them a character.
  const rest = Buffer.from(name.slice(nameSpaces[nameSpace]?.length), "latin1");
  return Buffer.concat([littleEndian([2, nameSpace], [2, rest.length]), rest, littleEndian([4, value.length]), value]);
}
