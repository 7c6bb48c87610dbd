/** What the files of an archive are, for who opens it. */
export function readmeOf(userId: string, serverName: string, now: Date): string {
  return `This is what the server ${serverName} held about ${userId} on ${now.toISOString()}.

Files that end in .json hold one JSON document; those that end in .ndjson one on each line. Times are in UTC, but for
origin_server_ts of events, which counts milliseconds since 1970.

account.json        the account, its status text and whether its user appears offline; the password is kept as a hash
                    only, which is left out
profile.json        the global profile; profiles in rooms are events of type state:m.room.member.profile
devices.json        devices, with when and whence they were used last, their access tokens (without the secrets, of which
                    hashes are kept), signing keys and sessions
capabilities.json   sets of capabilities that clients uploaded
account-data.ndjson what clients kept for the user, such as settings and tags of rooms
aliases.ndjson      aliases of rooms that the user made
calls.ndjson        calls that the user placed or got; their signals are events
actions.ndjson      action ids of the user's devices, as far as they are remembered, and the events that they led to
rooms.ndjson        rooms that the user is or was in, invited to or banned from, with each membership and where it came
                    from, read and delivered markers, and the folder of the room
rooms/*/events.ndjson
                    every event that the user sent to a room: state first, then messages, each by type and in the room's
                    order; contents that were redacted are gone
media.ndjson        files that the user uploaded, and under which path each is in here
media/*             these files

Which registration token somebody used is not recorded. What others said is theirs, and not in here.
`;
}
