/** Orrery for TypeScript and Node: supervised state processes, called from anywhere in the mesh and hosted by this app. */
export type { Retry } from "./asking.js";
export { type CallOptions, type CastOptions, Client, type ConnectOptions, connect } from "./client.js";
export type { Welcome } from "./connection.js";
export type { ClassDocument, NodeDocument, ProcessDocument, Processes, Tree } from "./documents.js";
export { CODES, type Code, type Effect, OrreryError, Refused } from "./errors.js";
export { type Event, Events } from "./events.js";
export { call, cast, info } from "./handlers.js";
export type { Logger, Metrics } from "./hooks.js";
export { type ClassState, Host, type HostOptions } from "./host.js";
export type { Name, NameLike } from "./names.js";
export { Process, type ProcessClass, type Reason } from "./process.js";
export { type ServeOptions, serve } from "./serve.js";
export { traceparent } from "./trace.js";
export type { Value } from "./values.js";
export { VERSION } from "./version.js";
