import type { TypedContent } from "../model/content/reader.ts";
import type { CallView } from "../model/call.ts";
import type { SigningKeyShape } from "../model/account.ts";
import type { AnyEvent, StoredEvent } from "../model/event.ts";
import type { InviteShape, MemberShape, RoomView, UserShape } from "../model/room.ts";
import type { EventConnection as EventPage } from "../model/connection.ts";
import { builder } from "./builder.ts";

// Types that name each other across files are declared here and implemented in their own.
export const Room = builder.objectRef<RoomView>("Room");
export const Member = builder.objectRef<MemberShape>("Member");
export const User = builder.objectRef<UserShape>("User");
export const DeviceSigningKey = builder.objectRef<SigningKeyShape>("DeviceSigningKey");
export const Call = builder.objectRef<CallView>("Call");
export const Invite = builder.objectRef<InviteShape>("Invite");
export const Event = builder.interfaceRef<AnyEvent>("Event");
export const MessageEvent = builder.objectRef<StoredEvent>("MessageEvent");
export const StateEvent = builder.objectRef<StoredEvent>("StateEvent");
export const EventContent = builder.interfaceRef<TypedContent>("EventContent");
export const EventConnection = builder.objectRef<EventPage>("EventConnection");
