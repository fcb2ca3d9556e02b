export const capabilityAttribute = "security.capability";

/** By number, include/uapi/linux/capability.h. */
const names =
  "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service " +
  "net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin " +
  "sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override " +
  "mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore";
const known = names.split(" ");

const effectiveFlag = 1;
/** Bytes without and with the user namespace's root (revisions 2 and 3 of struct vfs_ns_cap_data). */
const [plainBytes, withRootBytes] = [20, 24];

/**
 * The text form of cap_to_text(3) for the value of a file's capability attribute, given as getfattr prints it
 * ("0x…"): little-endian words with revision and flags, then permitted and inheritable bits, low and high half.
 * Capabilities are in the order of their numbers. A form that is not known is returned as it is.
 */
export function capabilityText(value: string): string {
  const bytes = Buffer.from(value.replace(/^0x/, ""), "hex");
  if (bytes.length !== plainBytes && bytes.length !== withRootBytes) return value;
  const word = (index: number) => bytes.readUInt32LE(index * 4);
  const bits = (low: number, high: number) => (BigInt(word(high)) << 32n) | BigInt(word(low));
  const [permitted, inheritable] = [bits(1, 3), bits(2, 4)];
  const effective = (word(0) & effectiveFlag) !== 0 ? "e" : "";
  const groups = [
    [permitted & inheritable, `${effective}ip`],
    [permitted & ~inheritable, `${effective}p`],
    [inheritable & ~permitted, `${effective}i`],
  ] as const;
  const text = groups.filter(([set]) => set !== 0n).map(([set, flags]) => `${namesOf(set)}=${flags}`);
  const root = bytes.length === withRootBytes ? [`[rootid=${word(5)}]`] : [];
  return [...(text.length === 0 ? ["="] : text), ...root].join(" ");
}

function namesOf(set: bigint): string {
  return Array.from({ length: 64 }, (_, number) => number)
    .filter((number) => ((set >> BigInt(number)) & 1n) === 1n)
    .map((number) => (known[number] === undefined ? String(number) : `cap_${known[number]}`))
    .join(",");
}
