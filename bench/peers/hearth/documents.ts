const event = "id type senderId sentAt content";

export const send = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { event { id } } }";

export const markRead = "mutation ($input: SetMarkerInput!) { setMarker(input: $input) { marker { eventId } } }";

export const page = `query ($roomId: ID!, $last: Int, $before: ChunkToken) {
  scrollback(roomId: $roomId, last: $last, before: $before) {
    events { nodes { ${event} } pageInfo { startCursor hasPreviousPage } }
  }
}`;

export const findMember = `query ($roomId: ID!, $search: String) {
  room(id: $roomId) { members(first: 50, search: $search) { nodes { user { id } displayName membership } } }
}`;

export const sync = `query ($stream: StreamToken, $limit: Int) {
  initialSync(stream: $stream, limit: $limit) {
    stream
    rooms { nodes {
      room { id name topic memberCount }
      incremental
      timeline { nodes { ${event} } pageInfo { startCursor hasPreviousPage } }
      state { nodes { ${event} stateKey } }
    } }
  }
}`;

export const logIn = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
