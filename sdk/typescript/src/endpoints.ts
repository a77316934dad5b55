/** Where the sidecar is: a Unix socket or a TCP address, given or from the environment. */

export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

const SOCKET_DEFAULT = "/run/orrery/sdk.sock";
const TCP_DEFAULT = "127.0.0.1:3603";

/** `/path`, `unix:/path`, `host:port`, `tcp:host:port` or `tcp:[v6]:port`. Throws a TypeError for anything else. */
export function parseEndpoint(text: string): Endpoint {
  if (/^(unix:.|\/|\.\.?\/)/.test(text)) return { path: text.replace(/^unix:/, "") };
  const match = /^(?:tcp:)?(?:\[([^\]]+)\]|([^[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65535) {
    throw new TypeError(`'${text}' is no address of a sidecar; accepted are /path, unix:/path, host:port and tcp:host:port`);
  }
  return { host, port };
}

export function endpointText(endpoint: Endpoint): string {
  if ("path" in endpoint) return `unix:${endpoint.path}`;
  return endpoint.host.includes(":") ? `tcp:[${endpoint.host}]:${endpoint.port}` : `tcp:${endpoint.host}:${endpoint.port}`;
}

/** What to dial, best first: the address that was given; else `ORRERY_SOCKET`, then `ORRERY_TCP`; else the defaults. */
export function endpoints(address?: string, environment: NodeJS.ProcessEnv = process.env): Endpoint[] {
  if (address) return [parseEndpoint(address)];
  const found: Endpoint[] = [];
  if (environment["ORRERY_SOCKET"]) found.push({ path: environment["ORRERY_SOCKET"] });
  if (environment["ORRERY_TCP"]) found.push(parseEndpoint(environment["ORRERY_TCP"]));
  return found.length ? found : [{ path: SOCKET_DEFAULT }, parseEndpoint(TCP_DEFAULT)];
}
