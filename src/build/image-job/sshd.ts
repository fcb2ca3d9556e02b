import { NetkilnError } from "../../lib/errors.ts";

export interface SshdOptions {
  readonly address: string;
  readonly port: number;
  /** Whether the tree is all that is seen. */
  readonly jail: boolean;
  readonly environment: Readonly<Record<string, string>>;
}

/** Root, by the one key, for commands and files, and nothing else. */
export function sshdConfig({ address, port, jail, environment }: SshdOptions): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return `ListenAddress ${address}
Port ${port}
HostKey /etc/ssh/host_key
PidFile none
UsePAM no
LogLevel INFO
AllowUsers root
PermitRootLogin prohibit-password
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
GSSAPIAuthentication no
KerberosAuthentication no
AuthorizedKeysFile /etc/ssh/authorized_keys
StrictModes yes
MaxAuthTries 3
LoginGraceTime 30
MaxStartups 10:30:60
DisableForwarding yes
PermitTunnel no
PermitUserEnvironment no
PermitUserRC no
PrintMotd no
ClientAliveInterval 30
ClientAliveCountMax 4
SetEnv ${variables.join(" ")}
Subsystem sftp internal-sftp
${jail ? "ChrootDirectory /mnt/image/image-root\n" : ""}`;
}

/** Kinds of keys that sshd takes (sshd(8), AUTHORIZED_KEYS FILE FORMAT), without options in front. */
const publicKey =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+={0,3}( [^\r\n]*)?$/;

/** The line for authorized_keys. Throws `invalid_input` for what is no public key. */
export function authorizedKey(text: string): string {
  const line = text.trim();
  if (publicKey.test(line)) return `restrict,pty ${line}\n`;
  throw new NetkilnError("invalid_input", "the public key of the job is none that sshd takes", {
    hint: "it is one line as in ~/.ssh/id_ed25519.pub, without options",
  });
}
