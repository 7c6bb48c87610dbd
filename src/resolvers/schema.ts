// Each file adds its fields to the builder; this one is imported by nobody but the transport.
import type { GraphQLSchema } from "graphql";
import { builder } from "../schema/builder.ts";
import "../schema/scalars.ts";
import "./queries.ts";
import "../schema/event.ts";
import "../schema/messageEvent.ts";
import "./filters.ts";
import "./initialSync.ts";
import "./scrollback.ts";
import "./history.ts";
import "./accounts.ts";
import "./admin.ts";
import "./signingKeys.ts";
import "./rooms.ts";
import "./membership.ts";
import "./messages.ts";
import "./markers.ts";
import "./preparedMessages.ts";
import "./rejections.ts";
import "./roomDeletion.ts";
import "./state.ts";
import "./powerLevels.ts";
import "./eventStream.ts";
import "./sessions.ts";
import "./presence.ts";
import "./typing.ts";
import "./capabilities.ts";
import "./liveSubscriptions.ts";
import "./calls.ts";

/** The whole schema. It depends on nothing but the code, so it is built once. */
export const schema: GraphQLSchema = builder.toSchema();
