import type { Plan, PlannedRoom } from "../peers/peer.ts";

const everyone = 2;
const groupSize = 10;

/** The rooms of a team: two of everybody, groups of ten, and direct chats between neighbours. */
export function teamOf(users: number): Plan {
  const numbers = Array.from({ length: users }, (_, number) => number);
  const rooms: PlannedRoom[] = Array.from({ length: everyone }, () => ({ members: numbers, messagesEach: 4 }));
  for (let first = 0; first < users; first += groupSize) {
    rooms.push({ members: numbers.slice(first, first + groupSize), messagesEach: 10 });
  }
  for (let first = 0; first + 1 < users; first += 2) rooms.push({ members: [first, first + 1], messagesEach: 20 });
  return { users, rooms };
}

/** Numbers of the rooms that a user is in. */
export function roomsOf({ rooms }: Plan, user: number): number[] {
  return [...rooms.keys()].filter((room) => rooms[room]!.members.includes(user));
}
