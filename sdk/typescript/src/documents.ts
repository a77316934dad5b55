/** The documents that the sidecar answers with. Later versions may add fields. */

export interface ProcessDocument {
  class: string;
  key: string;
  node: string;
  pid: string;
  state: string;
  mailbox: number;
  handled: number;
  restarts: number;
  classVersion: number;
  supervisor: string;
  ageSeconds: number;
  lastExit: { reason: string; agoSeconds: number } | null;
}

export interface NodeDocument {
  name: string;
  uid: string;
  boot: number;
  address: string;
  state: "self" | "up" | "connecting" | "down" | "draining";
  processes: number;
  rttSeconds: number;
  version: string;
}

export interface ClassDocument {
  name: string;
  version: number;
  behaviour: string;
  supervision: Record<string, unknown>;
  limits: Record<string, unknown>;
  callTimeoutSeconds: number;
  error: string | null;
}

export interface Processes {
  processes: ProcessDocument[];
  /** Nodes that did not answer. */
  unreachable: string[];
  /** There are more than the limit. */
  truncated: boolean;
}

export interface Tree {
  nodes: { node: string; supervisors: Record<string, unknown>[] }[];
  unreachable: string[];
  truncated: boolean;
}

export interface Groups {
  /** `here` is how many of the members are on this node. */
  groups: { name: string; members: number; here: number }[];
  /** There are more than the limit. */
  truncated: boolean;
}

export interface Group {
  group: string;
  members: { pid: string; node: string }[];
  truncated: boolean;
}

export interface Registry {
  entries: { key: string; unique: boolean; pid: string; node: string; value: any }[];
  /** There are more than the limit. */
  truncated: boolean;
}

/** Who holds a key. */
export interface Holder {
  key: string;
  pid: string;
  value: any;
}
