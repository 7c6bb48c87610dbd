import type { Client } from "../../kit/client.ts";

export interface Edge {
  node: { id: string };
  json: Record<string, unknown>;
}

export interface EventPage {
  edges: Edge[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

export interface SyncRoom {
  room: {
    id: string;
    name: string | null;
    topic: string | null;
    memberCount: number;
    aliases: string[];
    lastMessage: { id: string } | null;
  };
  incremental: boolean;
  state: EventPage;
  timeline: EventPage;
  changed: EventPage;
  compact: { events: { id: string }[]; timeline: string[]; state: string[] };
}

export interface Sync {
  stream: string;
  incremental: boolean;
  rooms: { nodes: SyncRoom[]; totalCount: number; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
  invites: {
    event: { id: string };
    room: {
      id: string;
      name: string | null;
      topic: string | null;
      memberCount: number;
      joinRule: string;
      aliases: string[];
    };
  }[];
  left: { roomId: string; event: { id: string } | null }[];
  presence: object[];
}

const events = "edges { node { id } json } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
const document = `query ($stream: StreamToken, $filter: FilterToken, $stateFilter: FilterToken, $limit: Int, $tweak: FilterInput, $first: Int, $after: ChunkToken) {
  initialSync(stream: $stream, filter: $filter, stateFilter: $stateFilter, limit: $limit, tweak: $tweak) {
    stream incremental
    rooms(first: $first, after: $after) {
      totalCount pageInfo { hasNextPage endCursor }
      nodes {
        room { id name topic memberCount aliases lastMessage { id } }
        incremental
        state { edges { node { id } json } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
        timeline { ${events} moreBefore }
        changed { ${events} }
        compact { events { id } timeline state }
      }
    }
    invites { event { id } room { id name topic memberCount joinRule aliases } }
    left { roomId event { id } }
    presence { state }
  }
}`;

/** An initial sync with everything in it. */
export async function sync(client: Client, variables: Record<string, unknown> = {}): Promise<Sync> {
  return (await client.do<{ initialSync: Sync }>(document, variables)).initialSync;
}

/** The same, or its first error's code. */
export function syncCode(client: Client, variables: Record<string, unknown>): Promise<string | null> {
  return client.code(document, variables);
}

/** A page's events by id. */
export function ids(page: EventPage): string[] {
  return page.edges.map((edge) => edge.node.id);
}

/** What a page's events say: the body, else the type. */
export function said(page: EventPage): unknown[] {
  return page.edges.map(({ json }) => (json["content"] as { body?: string } | undefined)?.body ?? json["type"]);
}
