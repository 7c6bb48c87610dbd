// A small client of its own for calls: what a page needs besides the browser. The test puts it into a page and calls it.

const signalFields = "call { id state endedReason } event { id type senderId content }";

class CallPage {
  /** ringing, calling, connected, taken elsewhere, ended: … */
  status = "idle";
  callId = null;
  #peer = null;
  /** The device at the other side, once it is known. */
  #other = null;
  /** Candidates that came before they could be used, and own ones before they could be sent. */
  #theirs = [];
  #mine = [];

  constructor({ token, userId, deviceId }) {
    this.token = token;
    this.userId = userId;
    this.deviceId = deviceId;
  }

  async ask(query, variables) {
    const response = await fetch("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.token}` },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json();
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }

  signal(name, input) {
    const type = `${name[0].toUpperCase()}${name.slice(1)}Input`;
    return this.ask(`mutation ($input: ${type}!) { ${name}(input: $input) { ${signalFields} } }`, { input });
  }

  /** Follows by the subscription that is made for it, over server-sent events. */
  async followSignals() {
    const query = `subscription { callSignals { ${signalFields} } }`;
    const response = await fetch(`/graphql?${new URLSearchParams({ query })}`, {
      headers: { accept: "text/event-stream", authorization: `Bearer ${this.token}` },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const read = async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        text += value;
        const messages = text.split("\n\n");
        text = messages.pop();
        for (const message of messages) {
          const data = /^data: (\{.*)$/m.exec(message)?.[1];
          if (data) this.take(JSON.parse(data).data.callSignals.event);
        }
      }
    };
    void read();
  }

  /** Follows by the event stream, as a client does that knows nothing of calls but their events; over a WebSocket. */
  followEvents() {
    const socket = new WebSocket(`ws://${location.host}/graphql`, "graphql-transport-ws");
    const send = (message) => socket.send(JSON.stringify(message));
    const query = "subscription { eventStream { events { id type senderId content } } }";
    return new Promise((resolve) => {
      socket.onopen = () => send({ type: "connection_init", payload: { authorization: `Bearer ${this.token}` } });
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "connection_ack") send({ type: "subscribe", id: "events", payload: { query } });
        if (message.type === "ping") send({ type: "pong" });
        if (message.type !== "next") return;
        resolve();
        for (const event of message.payload.data.eventStream.events) this.take(event);
      };
    });
  }

  /** Signals are handled one after the other. */
  take(event) {
    this.handled = (this.handled ?? Promise.resolve())
      .then(() => this.handle(event))
      .catch((error) => (this.status = `failed: ${error}`));
  }

  async handle({ type, senderId, content }) {
    const own = senderId === this.userId && content.device_id === this.deviceId;
    if (type === "m.call.invite" && senderId !== this.userId) {
      this.callId = content.call_id;
      this.offer = content.offer;
      this.status = "ringing";
    }
    if (own || content.call_id !== this.callId) return;
    if (type === "m.call.answer" && this.status === "calling" && this.#other === null)
      await this.choose(senderId, content);
    if (type === "m.call.ack") this.chosen(content);
    if (type === "m.call.candidates") await this.addTheirs(senderId, content);
    if (type === "m.call.hangup") this.end(`ended: ${content.reason}`);
  }

  async place(roomId) {
    await this.open();
    await this.#peer.setLocalDescription();
    this.status = "calling";
    const { sdp, type } = this.#peer.localDescription;
    const { placeCall } = await this.signal("placeCall", { roomId, offer: { type, sdp } });
    this.callId = placeCall.call.id;
    await this.sendMine();
  }

  async accept() {
    await this.open();
    await this.#peer.setRemoteDescription(this.offer);
    await this.#peer.setLocalDescription();
    const { sdp, type } = this.#peer.localDescription;
    await this.signal("answerCall", { callId: this.callId, answer: { type, sdp } });
    await this.sendMine();
    await this.useTheirs();
  }

  async hangUp() {
    await this.signal("hangupCall", { callId: this.callId });
    this.end("ended: hangup");
  }

  /** The caller takes the first device that answers. */
  async choose(userId, { device_id: deviceId, answer }) {
    this.#other = { userId, deviceId };
    await this.signal("acknowledgeCall", { callId: this.callId, userId, deviceId });
    await this.#peer.setRemoteDescription(answer);
    await this.useTheirs();
  }

  chosen({ accepted_device_id: deviceId }) {
    if (this.status === "ringing" && deviceId !== this.deviceId) this.end("taken elsewhere");
  }

  /** Camera, microphone and a connection that finds its way. */
  async open() {
    this.#peer = new RTCPeerConnection();
    this.#peer.onicecandidate = ({ candidate }) => {
      if (candidate === null) return;
      this.#mine.push(candidate.toJSON());
      void this.sendMine();
    };
    this.#peer.onconnectionstatechange = () => {
      if (this.#peer?.connectionState === "connected") this.status = "connected";
    };
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
    for (const track of media.getTracks()) this.#peer.addTrack(track, media);
  }

  async sendMine() {
    if (this.callId === null || !this.#peer?.localDescription) return;
    const candidates = this.#mine.splice(0);
    if (candidates.length === 0) return;
    try {
      await this.signal("sendCallCandidates", { callId: this.callId, candidates });
    } catch {
      // The answer isn't there yet: they go with the next ones, or after it.
      this.#mine.unshift(...candidates);
    }
  }

  async addTheirs(senderId, { candidates, device_id: deviceId }) {
    if (senderId === this.userId) return;
    this.#theirs.push(...candidates.map((candidate) => ({ deviceId, candidate })));
    await this.useTheirs();
  }

  async useTheirs() {
    if (!this.#peer?.remoteDescription) return;
    for (const { deviceId, candidate } of this.#theirs.splice(0)) {
      if (this.#other === null || this.#other.deviceId === deviceId) await this.#peer.addIceCandidate(candidate);
    }
  }

  /** What has come in and was made visible so far. */
  async received() {
    const found = { audio: 0, video: 0, frames: 0 };
    for (const report of (await this.#peer.getStats()).values()) {
      if (report.type !== "inbound-rtp") continue;
      found[report.kind] += report.bytesReceived;
      if (report.kind === "video") found.frames += report.framesDecoded;
    }
    return found;
  }

  end(status) {
    this.status = status;
    this.#peer?.close();
    this.#peer = null;
  }
}

window.CallPage = CallPage;
