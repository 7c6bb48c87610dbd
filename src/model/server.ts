/** What the server tells of itself to anyone. */
export interface ServerShape {
  name: string;
  version: string;
  registration: "open" | "token" | "closed";
  /** Keys that sign events in federation form; `publicKey` is unpadded base64. [EV-6] */
  signingKeys: { keyId: string; publicKey: string }[];
}
