import { createConnection, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { z } from "zod";

const answerSchema = z.union([z.object({ return: z.unknown() }), z.object({ error: z.object({ desc: z.string() }) })]);

const answerMs = 5000;

/**
 * Gives one command to a QEMU over its monitor socket (QEMU's docs/interop/qmp-spec). Resolves when QEMU has answered,
 * or has closed the socket as it does on `quit`. Throws when there is no QEMU or it refuses.
 */
export async function qmpExecute(socketFile: string, command: "system_powerdown" | "quit"): Promise<void> {
  const socket = createConnection(socketFile);
  socket.setTimeout(answerMs, () => socket.destroy(new Error(`QEMU did not answer on ${socketFile}`)));
  try {
    await converse(socket, ["qmp_capabilities", command]);
  } finally {
    socket.destroy();
  }
}

async function converse(socket: Socket, commands: readonly string[]): Promise<void> {
  const failed = new Promise<never>((_resolve, reject) => socket.once("error", reject));
  const spoken = (async () => {
    const waiting = [...commands];
    const say = () => socket.write(`${JSON.stringify({ execute: waiting.shift() })}\n`);
    for await (const line of createInterface({ input: socket })) {
      const message: unknown = JSON.parse(line);
      const answer = answerSchema.safeParse(message);
      if (answer.success && "error" in answer.data) throw new Error(`QEMU: ${answer.data.error.desc}`);
      const isGreeting = typeof message === "object" && message !== null && "QMP" in message;
      // Everything else is an event, which may come at any time.
      if (!isGreeting && !answer.success) continue;
      if (waiting.length === 0) return;
      say();
    }
    if (waiting.length > 0) throw new Error("QEMU closed its monitor socket");
  })();
  await Promise.race([spoken, failed]);
}
