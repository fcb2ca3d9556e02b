import { sha256 } from "../../lib/files.ts";

/** Hexadecimal digits that are the same for the same content and differ from purpose to purpose. */
export function derivedHex(purpose: string, content: string): string {
  return sha256(`netkiln ${purpose}\0${content}`);
}

/** A UUID that is made from content instead of chance, so that equal content stays equal (RFC 9562, version 8). */
export function derivedUuid(purpose: string, content: string): string {
  const hex = derivedHex(purpose, content);
  // The variant's two bits are 10, which makes the digit one of 8, 9, a, b.
  const variant = "89ab"[parseInt(hex.slice(16, 17), 16) % 4];
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
