import { addSigningKey, removeSigningKey } from "../domain/signingKeys.ts";
import type { SigningKeyShape } from "../model/account.ts";
import { builder } from "../schema/builder.ts";
import { DeviceSigningKey } from "../schema/refs.ts";
import { run } from "./actions.ts";

const AddSigningKeyInput = builder.inputType("AddSigningKeyInput", {
  description: "`keyId`: ed25519: and letters, digits or underscores; `publicKey`: 32 bytes in unpadded base64.",
  fields: (t) => ({ keyId: t.string({ required: true }), publicKey: t.string({ required: true }) }),
});
const RemoveSigningKeyInput = builder.inputType("RemoveSigningKeyInput", {
  fields: (t) => ({ keyId: t.string({ required: true }) }),
});

const AddSigningKeyPayload = builder.objectRef<SigningKeyShape>("AddSigningKeyPayload").implement({
  fields: (t) => ({ signingKey: t.field({ type: DeviceSigningKey, resolve: (key) => key }) }),
});
const RemoveSigningKeyPayload = builder.objectRef<{ keyId: string }>("RemoveSigningKeyPayload").implement({
  fields: (t) => ({ keyId: t.exposeString("keyId") }),
});

builder.mutationField("addSigningKey", (t) =>
  t.field({
    type: AddSigningKeyPayload,
    nullable: true,
    description:
      "Registers a key of this device, so that the server and others verify what is signed with it. [ACT-13]",
    args: { input: t.arg({ type: AddSigningKeyInput, required: true }) },
    resolve: (_root, { input }, context) => run(context, addSigningKey, input),
  }),
);

builder.mutationField("removeSigningKey", (t) =>
  t.field({
    type: RemoveSigningKeyPayload,
    nullable: true,
    description: "Takes back a key of any of the viewer's devices. [ACT-13]",
    args: { input: t.arg({ type: RemoveSigningKeyInput, required: true }) },
    resolve: async (_root, { input }, context) => ({ keyId: await run(context, removeSigningKey, input) }),
  }),
);
