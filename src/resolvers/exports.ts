import { builder } from "../schema/builder.ts";
import { domainOf, signedIn } from "./context.ts";

const ExportUserDataInput = builder.inputType("ExportUserDataInput", {
  fields: (t) => ({ userId: t.id({ description: "Admins: anyone. The viewer unless given." }) }),
});
const ExportUserDataPayload = builder.objectRef<{ token: string; expiresAt: Date }>("ExportUserDataPayload").implement({
  fields: (t) => ({
    url: t.string({
      description: "Where a ZIP archive is, for a plain GET. Whoever has the address can read it.",
      resolve: ({ token }, _args, { server }) => `${server.publicUrl}/_hearth/export/${token}`,
    }),
    expiresAt: t.expose("expiresAt", { type: "DateTime", description: "Until when the download has to begin." }),
  }),
});

builder.mutationField("exportUserData", (t) =>
  t.field({
    type: ExportUserDataPayload,
    nullable: true,
    description: "An address from which to download everything that the server holds about a user.",
    args: { input: t.arg({ type: ExportUserDataInput, required: true }) },
    resolve: (_root, { input }, context) => domainOf(context).exports.grant(signedIn(context), input),
  }),
);
