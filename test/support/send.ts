import { request, type OutgoingHttpHeaders } from "node:http";

export interface Sent {
  readonly body?: Buffer | string | undefined;
  /** Nothing beside these and what HTTP needs: no content type that is not named. */
  readonly headers?: OutgoingHttpHeaders | undefined;
}

export interface HttpResult {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A plain HTTP request, to a unix socket or to a URL; the path is sent as it is given, whatever stands in it. */
export async function send(
  target: { readonly socketPath: string } | { readonly url: string | URL },
  method: string,
  path: string,
  { body, headers = {} }: Sent = {},
): Promise<HttpResult> {
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  const where = { method, path, agent: false, headers: { ...length, ...headers }, ...placeOf(target) };
  return new Promise((resolve, reject) => {
    let answered = false;
    const outgoing = request(where, (response) => {
      answered = true;
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    // A server that refuses a body early closes while it is still being sent; its answer is what counts.
    outgoing.on("error", (error) => setTimeout(() => answered || reject(error), 200));
    outgoing.end(body);
  });
}

function placeOf(target: Parameters<typeof send>[0]): { socketPath: string } | { host: string; port: string } {
  if ("socketPath" in target) return target;
  const { hostname, port } = new URL(target.url);
  return { host: hostname, port };
}
