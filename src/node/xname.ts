/** What an xname says about the kind of hardware: the names that HSM uses, by the form of the location. */
const forms: readonly (readonly [type: string, form: string])[] = [
  ["CDU", "d#"],
  ["CDUMgmtSwitch", "d#w#"],
  ["Cabinet", "x#"],
  ["CabinetCDU", "x#d#"],
  ["CabinetPDUController", "x#m#"],
  ["CabinetPDU", "x#m#p#"],
  ["CabinetPDUOutlet", "x#m#p#j#"],
  ["CabinetPDUPowerConnector", "x#m#p#v#"],
  ["CEC", "x#e#"],
  ["Chassis", "x#c#"],
  ["ChassisBMC", "x#c#b#"],
  ["CMMFpga", "x#c#f#"],
  ["CMMRectifier", "x#c#t#"],
  ["MgmtSwitch", "x#c#w#"],
  ["MgmtHLSwitch", "x#c#h#s#"],
  ["ComputeModule", "x#c#s#"],
  ["NodeBMC", "x#c#s#b#"],
  ["NodeFpga", "x#c#s#b#f#"],
  ["NodeEnclosure", "x#c#s#e#"],
  ["NodeEnclosurePowerSupply", "x#c#s#e#t#"],
  ["Node", "x#c#s#b#n#"],
  ["VirtualNode", "x#c#s#b#n#v#"],
  ["NodeAccel", "x#c#s#b#n#a#"],
  ["NodeAccelRiser", "x#c#s#b#n#r#"],
  ["Memory", "x#c#s#b#n#d#"],
  ["StorageGroup", "x#c#s#b#n#g#"],
  ["Drive", "x#c#s#b#n#g#k#"],
  ["NodeNIC", "x#c#s#b#n#i#"],
  ["Processor", "x#c#s#b#n#p#"],
  ["RouterModule", "x#c#r#"],
  ["RouterBMC", "x#c#r#b#"],
  ["RouterFpga", "x#c#r#f#"],
  ["HSNAsic", "x#c#r#a#"],
  ["HSNLink", "x#c#r#a#l#"],
  ["HSNBoard", "x#c#r#e#"],
  ["HSNConnector", "x#c#r#j#"],
];

const typeByForm = new Map(forms.map(([type, form]) => [form, type]));

/** Every type that a component can have. */
export const componentTypes: readonly string[] = forms.map(([type]) => type).sort();

/** Lower case, without spaces around it and without zeros in front of its numbers: how xnames are stored and compared. */
export function canonicalXname(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replaceAll(/(?<=[a-z])0+(?=\d)/g, "");
}

/** The type of the hardware that stands there; undefined when it is no xname. Takes the canonical form. */
export function typeOfXname(xname: string): string | undefined {
  return /^[a-z0-9]{1,63}$/.test(xname) ? typeByForm.get(xname.replaceAll(/\d+/g, "#")) : undefined;
}
