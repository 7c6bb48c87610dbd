import { createHash, createHmac, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls } from "node:tls";

/** A TURN or STUN server's address, as RFC 7065 and RFC 7064 have it. */
export interface TurnAddress {
  turn: boolean;
  host: string;
  port: number;
  transport: "udp" | "tcp" | "tls";
}

/** What a server answers. */
interface Answer {
  type: number;
  /** Values by type of attribute. */
  attributes: Map<number, Buffer>;
}

type Ask = (message: Buffer) => Promise<Answer>;

const cookie = 0x2112a442;
const types = { binding: 0x0001, allocate: 0x0003, refresh: 0x0004 };
const attribute = {
  ...{ username: 0x0006, integrity: 0x0008, error: 0x0009, lifetime: 0x000d },
  ...{ realm: 0x0014, nonce: 0x0015, relayed: 0x0016, transport: 0x0019 },
};
const timeoutMs = 3_000;
/** UDP may lose what is sent. */
const resendMs = 500;

/** Throws for what is no such address. */
export function parseTurnUri(uri: string): TurnAddress {
  const [, scheme = "", host = "", port, transport] =
    /^(turns?|stuns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?$/.exec(uri) ?? [];
  if (host === "") throw new Error(`${uri} is no address of a TURN server`);
  const secure = scheme.endsWith("s");
  return {
    turn: scheme.startsWith("turn"),
    host: host.replace(/^\[|\]$/g, ""),
    port: Number(port ?? (secure ? 5349 : 3478)),
    transport: secure ? "tls" : transport === "tcp" ? "tcp" : "udp",
  };
}

/** Asks a server who one is, and for TURN to relay for these credentials, given back at once. Throws where it doesn't. */
export async function tryTurn(
  address: TurnAddress,
  credentials: { username: string; password: string },
): Promise<void> {
  await withConnection(address, async (ask) => {
    const bound = await ask(message(types.binding, []));
    if (bound.type !== (types.binding | 0x0100)) throw new Error(`it answers a binding request with ${errorOf(bound)}`);
    if (address.turn) await allocate(ask, credentials);
  });
}

async function allocate(ask: Ask, { username, password }: { username: string; password: string }): Promise<void> {
  const overUdp: [number, Buffer] = [attribute.transport, Buffer.from([17, 0, 0, 0])];
  const challenge = await ask(message(types.allocate, [overUdp]));
  const realm = challenge.attributes.get(attribute.realm);
  const nonce = challenge.attributes.get(attribute.nonce);
  if (realm === undefined || nonce === undefined) throw new Error(`it asks for no credentials: ${errorOf(challenge)}`);
  const key = createHash("md5").update(`${username}:${realm.toString()}:${password}`).digest();
  const shown: [number, Buffer][] = [
    [attribute.username, Buffer.from(username)],
    [attribute.realm, realm],
    [attribute.nonce, nonce],
  ];
  const given = await ask(message(types.allocate, [overUdp, ...shown], key));
  if (!given.attributes.has(attribute.relayed)) throw new Error(`it refuses to relay: ${errorOf(given)}`);
  await ask(message(types.refresh, [[attribute.lifetime, Buffer.alloc(4)], ...shown], key)).catch(() => undefined);
}

function message(type: number, attributes: [number, Buffer][], key: Buffer | null = null): Buffer {
  const body = attributes.map(([name, value]) => {
    const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
    padded.writeUInt16BE(name, 0);
    padded.writeUInt16BE(value.length, 2);
    value.copy(padded, 4);
    return padded;
  });
  const head = Buffer.alloc(20);
  head.writeUInt16BE(type, 0);
  head.writeUInt32BE(cookie, 4);
  randomBytes(12).copy(head, 8);
  const length = body.reduce((sum, each) => sum + each.length, 0);
  // The length that is signed takes the signature in.
  head.writeUInt16BE(length + (key === null ? 0 : 24), 2);
  const text = Buffer.concat([head, ...body]);
  if (key === null) return text;
  const mac = createHmac("sha1", key).update(text).digest();
  return Buffer.concat([text, Buffer.from([0, attribute.integrity, 0, mac.length]), mac]);
}

function parse(bytes: Buffer): Answer {
  const attributes = new Map<number, Buffer>();
  for (let at = 20; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 2);
    attributes.set(bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + length));
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return { type: bytes.readUInt16BE(0), attributes };
}

function errorOf({ attributes }: Answer): string {
  const error = attributes.get(attribute.error);
  if (error === undefined || error.length < 4) return "nothing that is known";
  return `${error[2]! * 100 + error[3]!} ${error
    .subarray(4)
    .toString()
    .replace(/[^ -~]/g, "")}`.slice(0, 100);
}

function withConnection(address: TurnAddress, work: (ask: Ask) => Promise<void>): Promise<void> {
  const { host, port, transport } = address;
  return new Promise((resolve, reject) => {
    let waiting: { id: string; take: (answer: Answer) => void } | null = null;
    let received = Buffer.alloc(0);
    const took = (bytes: Buffer): void => {
      if (bytes.length >= 20 && waiting?.id === bytes.toString("hex", 8, 20)) waiting.take(parse(bytes));
    };
    /** A stream brings messages one after the other, in pieces of any size. */
    const tookPiece = (piece: Buffer): void => {
      received = Buffer.concat([received, piece]);
      while (received.length >= 20 && received.length >= 20 + received.readUInt16BE(2)) {
        const end = 20 + received.readUInt16BE(2);
        took(received.subarray(0, end));
        received = received.subarray(end);
      }
    };
    const timer = setTimeout(() => end(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    let resending: NodeJS.Timeout | undefined;
    const udp = transport === "udp" ? createSocket(isIP(host) === 6 ? "udp6" : "udp4") : null;
    const stream =
      transport === "udp"
        ? null
        : transport === "tls"
          ? connectTls({ host, port, ...nameOf(host) })
          : connectTcp({ host, port });
    function end(error: unknown): void {
      clearTimeout(timer);
      clearInterval(resending);
      udp?.close();
      stream?.destroy();
      if (error === null) resolve();
      else reject(error as Error);
    }
    const ask: Ask = (text) =>
      new Promise((take) => {
        waiting = { id: text.toString("hex", 8, 20), take };
        const send = (): void => (udp ? udp.send(text, port, host) : void stream!.write(text));
        clearInterval(resending);
        if (udp) resending = setInterval(send, resendMs);
        send();
      });
    const begin = (): void => void work(ask).then(() => end(null), end);
    udp?.on("error", end).on("message", took);
    stream?.on("error", end).on("data", tookPiece);
    if (udp) begin();
    else stream!.once(transport === "tls" ? "secureConnect" : "connect", begin);
  });
}

/** Certificates are for names; addresses aren't asked for by one. */
function nameOf(host: string): { servername?: string } {
  return isIP(host) ? {} : { servername: host };
}
