import { builder } from "../schema/builder.ts";
import { domainOf, signedIn } from "./context.ts";

const DeleteMediaInput = builder.inputType("DeleteMediaInput", {
  fields: (t) => ({ mxc: t.string({ required: true }) }),
});
const DeleteMediaPayload = builder.objectRef<{ mxc: string }>("DeleteMediaPayload").implement({
  fields: (t) => ({ mxc: t.exposeString("mxc") }),
});

builder.mutationField("deleteMedia", (t) =>
  t.field({
    type: DeleteMediaPayload,
    nullable: true,
    description: "Deletes a file of one's own, or anybody's as an admin: nobody can download it any more. [AS-14]",
    args: { input: t.arg({ type: DeleteMediaInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      mxc: await domainOf(context).media.delete(signedIn(context), input),
    }),
  }),
);
