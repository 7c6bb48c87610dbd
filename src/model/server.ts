/** What the server tells of itself to anyone. */
export interface ServerShape {
  name: string;
  version: string;
  /** The address that clients reach it by, without a slash at the end: known when it listens. */
  publicUrl: string;
  /** Bytes that an uploaded file may have. */
  maxUploadBytes: number;
  registration: "open" | "token" | "closed";
  /** Keys that sign events in federation form; `publicKey` is unpadded base64. [EV-6] */
  signingKeys: { keyId: string; publicKey: string }[];
}
