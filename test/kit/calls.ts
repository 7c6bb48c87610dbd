import type { Answer, Client } from "./client.ts";
import { until } from "./until.ts";

/** A call as the tests look at it. */
export interface CallShown {
  id: string;
  state: string;
  endedReason: string | null;
  expiresAt: string | null;
  parties: {
    user: { id: string };
    deviceId: string;
    rejected: boolean;
    answer: { type: string; sdp: string } | null;
  }[];
  acceptedBy: { deviceId: string } | null;
}

export interface Signalled {
  call: CallShown;
  event: { id: string; type: string; content: Record<string, unknown>; updatesId: string | null };
}

const callFields = `id state endedReason expiresAt acceptedBy { deviceId }
  parties { user { id } deviceId rejected answer { type sdp } }`;

export const offer = { type: "offer", sdp: "v=0 offered" };
export const answer = { type: "answer", sdp: "v=0 answered" };

type SignalName = "placeCall" | "answerCall" | "rejectCall" | "acknowledgeCall" | "sendCallCandidates" | "hangupCall";

/** The whole answer to a mutation of calls. */
export function askSignal(client: Client, name: SignalName, input: Record<string, unknown>): Promise<Answer> {
  const type = `${name[0]!.toUpperCase()}${name.slice(1)}Input`;
  return client.ask(
    `mutation ($input: ${type}!) {
       ${name}(input: $input) { call { ${callFields} } event { id type content updatesId } }
     }`,
    { input },
  );
}

/** What the mutation gave; throws what refused it. */
export async function signal(client: Client, name: SignalName, input: Record<string, unknown>): Promise<Signalled> {
  const { data, errors } = await askSignal(client, name, input);
  if (errors || !data) throw new Error(JSON.stringify(errors));
  return data[name] as Signalled;
}

/** The code of what refused it; null when nothing did. */
export async function codeOf(client: Client, name: SignalName, input: Record<string, unknown>): Promise<string | null> {
  const { errors } = await askSignal(client, name, input);
  return errors ? String(errors[0]?.extensions?.["code"]) : null;
}

export async function place(client: Client, roomId: string, input: Record<string, unknown> = {}): Promise<string> {
  return (await signal(client, "placeCall", { roomId, offer, ...input })).call.id;
}

export async function callOf(client: Client, callId: string): Promise<CallShown> {
  const { call } = await client.do<{ call: CallShown }>(`query ($id: ID!) { call(id: $id) { ${callFields} } }`, {
    id: callId,
  });
  return call;
}

/** A room of the two, both joined. */
export async function roomOfTwo(one: Client, other: Client): Promise<string> {
  const roomId = await one.createRoom({ joinRule: "PUBLIC" });
  await other.join(roomId);
  return roomId;
}

/** What a subscription to signals brought. */
export interface ToldSignal {
  call: { id: string; state: string };
  event: { id: string; type: string; senderId: string; content: Record<string, unknown> };
}

/** An open subscription to the signals of calls, by server-sent events. */
export class SignalFollow {
  readonly signals: ToldSignal[] = [];
  errors: { extensions?: { code?: string } }[] | null = null;
  ended = false;
  readonly #stop = new AbortController();

  constructor(client: Client, variables: { roomId?: string; callId?: string } = {}) {
    this.#run(client, variables).then(
      () => (this.ended = true),
      () => (this.ended = true),
    );
  }

  get types(): string[] {
    return this.signals.map(({ event }) => event.type.replace("m.call.", ""));
  }

  /** Waits until so many signals came; gives their types. */
  async brings(count: number): Promise<string[]> {
    await until(
      () => this.signals.length >= count,
      () => `it brought ${JSON.stringify(this.types)}, ${JSON.stringify(this.errors)}`,
    );
    return this.types;
  }

  stop(): void {
    this.#stop.abort();
  }

  async #run({ address, token }: Client, variables: object): Promise<void> {
    const query = `subscription ($roomId: ID, $callId: ID) {
      callSignals(roomId: $roomId, callId: $callId) { call { id state } event { id type senderId content } }
    }`;
    const asked = new URLSearchParams({ query, variables: JSON.stringify(variables) });
    const response = await fetch(`${address}/graphql?${String(asked)}`, {
      headers: { accept: "text/event-stream", authorization: `Bearer ${token}` },
      signal: this.#stop.signal,
    });
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const messages = text.split("\n\n");
      text = messages.pop()!;
      for (const message of messages) this.#take(/^data: (\{.*)$/m.exec(message)?.[1]);
    }
  }

  #take(data: string | undefined): void {
    if (data === undefined) return;
    const result = JSON.parse(data) as { data?: { callSignals: ToldSignal } | null; errors?: SignalFollow["errors"] };
    if (result.errors) this.errors = result.errors;
    if (result.data?.callSignals) this.signals.push(result.data.callSignals);
  }
}
