import { setMarker } from "../domain/actions/setMarker.ts";
import type { Marker as MarkerShape } from "../model/marker.ts";
import { builder } from "../schema/builder.ts";
import { MarkerKind } from "../schema/enums.ts";
import { Marker } from "../schema/marker.ts";
import { Room } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { run } from "./actions.ts";

const SetMarkerInput = builder.inputType("SetMarkerInput", {
  fields: (t) => ({
    eventId: t.id({ required: true }),
    kind: t.field({ type: MarkerKind, required: true }),
    private: t.boolean({
      required: true,
      defaultValue: false,
      description: "Shown to one's own devices alone.",
    }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const SetMarkerPayload = builder
  .objectRef<{ marker: MarkerShape; actionId: string | null }>("SetMarkerPayload")
  .implement({
    fields: (t) => ({
      marker: t.field({
        type: Marker,
        description: "The marker as it stands now: it may have been further already.",
        resolve: ({ marker }) => marker,
      }),
      room: t.field({
        type: Room,
        resolve: ({ marker }, _args, context) => roomOf(marker, context),
      }),
      actionId: t.exposeString("actionId", { nullable: true }),
    }),
  });

builder.mutationField("setMarker", (t) =>
  t.field({
    type: SetMarkerPayload,
    nullable: true,
    description: "Tells how far one has received or read a room, inclusive of the event. [ACT-11]",
    args: { input: t.arg({ type: SetMarkerInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      marker: await run(context, setMarker, input),
      actionId: input.actionId ?? null,
    }),
  }),
);
