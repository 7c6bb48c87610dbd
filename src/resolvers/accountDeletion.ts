import { builder } from "../schema/builder.ts";
import { domainOf, loadAnew, originOf, signedIn } from "./context.ts";

const DeleteAccountInput = builder.inputType("DeleteAccountInput", {
  description: "Own account with its password, or anyone's as an admin.",
  fields: (t) => ({
    userId: t.id({ description: "Admins: anyone. The viewer unless given." }),
    password: t.string({ description: "Needed for one's own account." }),
    erase: t.boolean({ required: true, defaultValue: false, description: "Redact what the user sent, too." }),
  }),
});
const DeleteAccountPayload = builder
  .objectRef<{ userId: string }>("DeleteAccountPayload")
  .implement({ fields: (t) => ({ userId: t.exposeID("userId") }) });

builder.mutationField("deleteAccount", (t) =>
  t.field({
    type: DeleteAccountPayload,
    nullable: true,
    description:
      "Deletes an account for good: at once nobody gets in by it; then its user leaves all rooms. Its name is never given out again. [ACC-3]",
    args: { input: t.arg({ type: DeleteAccountInput, required: true }) },
    async resolve(_root, { input }, context) {
      const requester = signedIn(context);
      const userId = await domainOf(context).deleteAccount(requester, input, originOf(context));
      if (userId === requester.userId) context.requester = null;
      loadAnew(context);
      return { userId };
    },
  }),
);
