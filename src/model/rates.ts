/** How often something may be asked for. */
export interface Rates {
  /** Requests a second of one device, or of one address where nobody has signed in. */
  requests: number;
  /** Changes a second of one user. */
  actions: number;
  /** Attempts a minute at one account's password from one address. */
  logins: number;
}
