import { errorCodes } from "../model/errors.ts";
import type { ServerShape } from "../model/server.ts";
import { builder } from "./builder.ts";
import { ErrorCode, RegistrationMode } from "./enums.ts";

const SigningKey = builder.objectRef<ServerShape["signingKeys"][number]>("SigningKey").implement({
  fields: (t) => ({ keyId: t.exposeString("keyId"), publicKey: t.exposeString("publicKey") }),
});

export const Server = builder.objectRef<ServerShape>("Server").implement({
  fields: (t) => ({
    name: t.exposeString("name"),
    version: t.exposeString("version"),
    capabilitiesHash: t.string({
      description: "Hash of the capability set that this user may use; null: the viewer, or anyone. [CAP-1]",
      args: { userId: t.arg.id() },
      resolve: (_server, { userId }, context) =>
        context.load.offeredCapabilities(userId === null && context.requester === null ? "anybody" : "users"),
    }),
    uploadUrl: t.string({
      description: "Where files are uploaded: POST, the bytes as body, the token as for GraphQL. [AS-14]",
      resolve: ({ publicUrl }) => `${publicUrl}/_matrix/media/v3/upload`,
    }),
    maxUploadBytes: t.exposeInt("maxUploadBytes", { description: "What one file may have." }),
    registration: t.expose("registration", { type: RegistrationMode }),
    signingKeys: t.field({
      type: [SigningKey],
      description:
        "Ed25519 keys, in unpadded base64, that sign events in federation form: over canonical JSON as Matrix has it. [EV-6]",
      resolve: ({ signingKeys }) => signingKeys,
    }),
    errorCodes: t.field({
      type: [ErrorCode],
      description: "Every code that `extensions.code` of an error may have.",
      resolve: () => [...errorCodes],
    }),
  }),
});
