/** The id of an ephemeral event: the same for all that tell the same thing anew. */
export function ephemeralId(roomId: string | null, type: string, sender: string): string {
  const name = [...(roomId === null ? [] : [roomId]), type, sender].join(" ");
  return `ephemeral_${Buffer.from(name).toString("base64url")}`;
}
