/** A Relay connection before it is rendered. `total` runs only when it is asked for. */
export interface Connection<T> {
  edges: Edge<T>[];
  hasPreviousPage: boolean;
  hasNextPage: boolean;
  total?: () => Promise<number>;
}

export interface Edge<T> {
  /** A chunk token. [STR-4] */
  cursor: string;
  node: T;
}
