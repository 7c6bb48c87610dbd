/**
 * What GraphiQL opens with: enough for a first conversation, in lines that fit its editor. The password is a variable,
 * since the page copies documents into its address.
 */
export const defaultDocument = `# Welcome to hearth! Put the cursor into an operation
# and press Ctrl+Enter, one after the other.

# 1. Choose a password in the "Variables" tab below:
#    { "password": "…" }
#    Register, and put the access token from the answer
#    into the "Headers" tab:
#    { "Authorization": "Bearer hearth_…" }
#    The event stream takes it from there as well.

mutation Register($password: String!) {
  register(input: {
    username: "alice"
    password: $password
    deviceId: "browser"
  }) {
    accessToken
    viewer { user { id } }
  }
}

# 2. Make a room, and note its id.

mutation CreateRoom {
  createRoom(input: {
    name: "Around the fire"
    joinRule: PUBLIC
  }) {
    room { id title }
  }
}

# 3. Follow what happens. Run it in a tab of its own.

subscription Follow {
  eventStream {
    stream
    events {
      id type senderId
      typed { ... on TextContent { body } }
    }
  }
}

# 4. Say something, with the room's id as a variable:
#    { "room": "!…" }

mutation Say($room: ID!) {
  sendMessage(input: {
    roomId: $room
    message: { content: { text: { body: "Hello!" } } }
  }) {
    event { id sentAt }
  }
}

# 5. Read the room.

query Read($room: ID!) {
  scrollback(roomId: $room) {
    room { title memberCount }
    events {
      nodes {
        id type
        sender { id displayName }
        typed { ... on TextContent { body } }
      }
    }
  }
}

query WhoAmI {
  viewer {
    user { id }
    rooms { nodes { id title lastMessage { sentAt } } }
  }
}
`;
