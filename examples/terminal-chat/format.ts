import { styleText } from "node:util";
import type { PageQuery } from "./generated/graphql.ts";

export type ShownEvent = NonNullable<PageQuery["scrollback"]>["events"]["nodes"][number];

/** How lines look; plain where nobody looks at colours. */
export interface Style {
  dim(text: string): string;
  bold(text: string): string;
}

export const plain: Style = { dim: (text) => text, bold: (text) => text };
export const coloured: Style = { dim: (text) => styleText("dim", text), bold: (text) => styleText("bold", text) };

/** Takes control characters out of what others wrote, lest it steers the terminal. */
function safe(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "");
}

/** The same for text that belongs on one line. */
export function safeLine(text: string): string {
  return safe(text).replace(/\s+/g, " ").trim();
}

/** `bob` for people of one's own server, the whole id for others. Ids, since display names can be made to deceive. */
export function nameOf(userId: string, ownId: string): string {
  const server = ownId.slice(ownId.indexOf(":"));
  return userId.startsWith("@") && userId.endsWith(server) ? userId.slice(1, -server.length) : userId;
}

/** `12:03`, with the date if that isn't today's. */
export function timeOf(sentAt: string, now = new Date()): string {
  const date = new Date(sentAt);
  const two = (part: number) => String(part).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (date.toDateString() === now.toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** A room's event as text; null for those that aren't worth a line. */
export function lineOf(event: ShownEvent, ownId: string, style: Style): string | null {
  const time = style.dim(timeOf(event.sentAt));
  const said = messageOf(event);
  if (said !== null) {
    const sender = nameOf(event.senderId, ownId);
    const [mark, text] = said;
    return `${time} ${style.bold(mark === "emote" ? `* ${sender}` : `${sender}:`)} ${safe(text).replaceAll("\n", "\n      ")}`;
  }
  const news = newsOf(event, ownId);
  return news === null ? null : `${time} ${style.dim(`-- ${safeLine(news)}`)}`;
}

/** Whether an event is something that someone said, as opposed to a change of the room. */
export function isMessage(event: ShownEvent): boolean {
  return messageOf(event) !== null;
}

function messageOf({ kind, type, typed, redactedBy }: ShownEvent): [mark: "text" | "emote", text: string] | null {
  if (kind !== "MESSAGE") return null;
  if (type === "m.room.message" && redactedBy !== null) return ["text", "(removed)"];
  switch (typed?.__typename) {
    case "TextContent":
      return [typed.msgtype === "m.emote" ? "emote" : "text", typed.body];
    case "MediaContent":
      return ["text", `${typed.body} (${typed.mxc})`];
    case "LocationContent":
      return ["text", `${typed.body} (${typed.geoUri})`];
    default:
      return null;
  }
}

function newsOf(event: ShownEvent, ownId: string): string | null {
  const sender = nameOf(event.senderId, ownId);
  switch (event.typed?.__typename) {
    case "CreateContent":
      return `${sender} made the room`;
    case "NameContent":
      return `${sender} named the room “${event.typed.name}”`;
    case "TopicContent":
      return `${sender} set the topic: ${event.typed.topic}`;
    case "ProfileContent":
      return event.typed.displayName === null ? null : `${sender} is called “${event.typed.displayName}”`;
    case "RedactionContent":
      return `${sender} removed a message`;
    case "MembershipContent": {
      const member = "stateKey" in event ? nameOf(event.stateKey, ownId) : sender;
      const themselves = member === sender;
      switch (event.typed.membership) {
        case "JOIN":
          return `${member} joined`;
        case "INVITE":
          return `${sender} invited ${member}`;
        case "LEAVE":
          return themselves ? `${member} left` : `${sender} removed ${member}`;
        case "BAN":
          return `${sender} banned ${member}`;
        case "KNOCK":
          return `${member} asks to be let in`;
      }
    }
    default:
      return null;
  }
}
