/** Where the sidecar is: a Unix socket, a TCP address or a WebSocket, given or from the environment. */

export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number } | { readonly url: string };

const SOCKET_DEFAULT = "/run/orrery/sdk.sock";
const TCP_DEFAULT = "127.0.0.1:3603";
const WEBSOCKET_PATH = "/v1/sdk";
const ACCEPTED = "/path, unix:/path, host:port, tcp:host:port, ws://host:port and wss://host";

/**
 * `/path`, `unix:/path`, `host:port`, `tcp:host:port`, `tcp:[v6]:port`, or `ws://host:port` and `wss://host`, with a path where a proxy
 * has one. Throws a TypeError for anything else.
 */
export function parseEndpoint(text: string): Endpoint {
  if (/^wss?:/i.test(text)) return { url: parseUrl(text) };
  if (/^(unix:.|\/|\.\.?\/)/.test(text)) return { path: text.replace(/^unix:/, "") };
  const match = /^(?:tcp:)?(?:\[([^\]]+)\]|([^[\]/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65535) {
    throw new TypeError(`'${text}' is no address of a sidecar; accepted are ${ACCEPTED}`);
  }
  return { host, port };
}

function parseUrl(text: string): string {
  const url = /^wss?:\/\/[^/]/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.hash || url.username || url.password) throw new TypeError(`'${text}' is no address of a sidecar; accepted are ${ACCEPTED}`);
  if (url.pathname === "/") url.pathname = WEBSOCKET_PATH;
  return url.href;
}

export function endpointText(endpoint: Endpoint): string {
  if ("url" in endpoint) return endpoint.url;
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
