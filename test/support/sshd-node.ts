/** A node as sessions see it: the real sshd on a loopback address, with processes, accounts and a /srv of its own. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { waitUntil } from "./server.ts";
import { tool } from "./site.ts";

export interface SshdNode {
  readonly address: string;
  /** Its /srv, as seen from here. */
  readonly srv: string;
  stop(): Promise<void>;
}

const start = `
mount -t proc proc /proc
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/srv" /srv
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
`;

/** Lets in whoever has the key; `folder` is the node's own. */
export async function startSshdNode(
  folder: string,
  { address, port, publicKey }: { readonly address: string; readonly port: number; readonly publicKey: string },
): Promise<SshdNode> {
  await mkdir(join(folder, "srv"), { recursive: true });
  await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  await tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(folder, "host_key"));
  await writeFile(join(folder, "authorized_keys"), `${publicKey}\n`, { mode: 0o600 });
  await writeFile(
    join(folder, "passwd"),
    "root:*:0:0:root:/root:/bin/sh\nsshd:*:65533:65534::/run/sshd:/usr/sbin/nologin\n",
  );
  await writeFile(
    join(folder, "sshd_config"),
    `ListenAddress ${address}
Port ${port}
HostKey ${folder}/host_key
AuthorizedKeysFile ${folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
`,
  );
  const namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"];
  const child = spawn("unshare", [...namespaces, "/bin/sh", "-ec", start, "node", folder], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await waitUntil(10, () => child.exitCode !== null || said.includes("Server listening"));
  assert.equal(child.exitCode, null, said);
  return {
    address,
    srv: join(folder, "srv"),
    stop: async () => {
      if (child.exitCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** Whether somebody listens there. */
export async function answers(address: string, port: number): Promise<boolean> {
  const socket = connect({ host: address, port });
  const came = await Promise.race([once(socket, "connect"), once(socket, "error")]).then(
    ([error]) => error === undefined,
    () => false,
  );
  socket.destroy();
  return came;
}
