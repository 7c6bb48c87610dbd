import { deleteRoom } from "../domain/actions/deleteRoom.ts";
import { builder } from "../schema/builder.ts";
import { run } from "./actions.ts";

const DeleteRoomInput = builder.inputType("DeleteRoomInput", {
  fields: (t) => ({ roomId: t.id({ required: true }), reason: t.string() }),
});

const DeleteRoomPayload = builder.objectRef<{ roomId: string }>("DeleteRoomPayload").implement({
  fields: (t) => ({ roomId: t.exposeID("roomId") }),
});

builder.mutationField("deleteRoom", (t) =>
  t.field({
    type: DeleteRoomPayload,
    nullable: true,
    description: "Admins: everybody is made to leave, and the room is erased with all that was said in it.",
    args: { input: t.arg({ type: DeleteRoomInput, required: true }) },
    resolve: async (_root, { input }, context) => ({ roomId: await run(context, deleteRoom, input) }),
  }),
);
