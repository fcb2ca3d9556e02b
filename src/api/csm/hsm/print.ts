import { NetkilnError } from "../../../lib/errors.ts";
import { canonicalXname, typeOfXname, type Component } from "../../../node/index.ts";
import { answer, type Answer } from "../../service.ts";

/** What HSM puts before the links that it gives. */
const links = "/hsm/v2";

/** HSM's plain answer: `code` is a number, whatever its contract says, and its clients read one. */
export function done(message: string): Answer {
  return answer(200, { code: 0, message });
}

export function deleted(count: number): Answer {
  if (count === 0) throw new NetkilnError("not_found", "no entries to delete");
  return done(count === 1 ? "deleted 1 entry" : `deleted ${count} entries`);
}

/** A list of links, as most of HSM's POSTs answer. */
export function created(paths: readonly string[]): Answer {
  return answer(201, paths.map(toUri), { location: links + (paths[0] ?? "") });
}

export function toUri(path: string): { URI: string } {
  return { URI: links + path };
}

/** An xname in a path. */
export function xnameOf(text: string | undefined): string {
  const name = canonicalXname(text ?? "");
  if (typeOfXname(name) === undefined) throw new NetkilnError("invalid_input", `invalid xname '${text}'`);
  return name;
}

export function noSuch(xname: string): NetkilnError {
  return new NetkilnError("not_found", `no such xname: ${xname}`);
}

export function printComponent(one: Component) {
  return {
    ID: one.xname,
    Type: one.type,
    State: one.state,
    Flag: one.flag,
    Enabled: one.enabled,
    SoftwareStatus: one.softwareStatus,
    Role: one.role,
    SubRole: one.subRole,
    NID: one.nid,
    Subtype: one.subtype,
    NetType: one.netType,
    Arch: one.arch === "Unknown" ? "UNKNOWN" : one.arch,
    Class: one.class,
    ReservationDisabled: one.reservationDisabled || undefined,
    Locked: one.locked || undefined,
  };
}

export interface Views {
  readonly stateonly: boolean;
  readonly flagonly: boolean;
  readonly roleonly: boolean;
  readonly nidonly: boolean;
}

/** How much of a component is wanted; all where nothing is said. */
export function printerOf(views: Views): (one: Component) => object {
  const { stateonly, flagonly, roleonly, nidonly } = views;
  if (!stateonly && !flagonly && !roleonly && !nidonly) return printComponent;
  return (component) => {
    const { ID, Type, State, Flag, Role, SubRole, NID } = printComponent(component);
    return {
      ID,
      Type,
      ...(stateonly && { State }),
      ...((stateonly || flagonly) && { Flag }),
      ...(roleonly && { Role, SubRole }),
      ...(nidonly && { NID }),
    };
  };
}
