import { errorCodes } from "../model/errors.ts";
import { builder } from "./builder.ts";
import type { Context } from "./context.ts";
import { ErrorCode, RegistrationMode } from "./enums.ts";

export const Server = builder.objectRef<Context["server"]>("Server").implement({
  fields: (t) => ({
    name: t.exposeString("name"),
    version: t.exposeString("version"),
    registration: t.expose("registration", { type: RegistrationMode }),
    errorCodes: t.field({
      type: [ErrorCode],
      description: "Every code that `extensions.code` of an error may have.",
      resolve: () => [...errorCodes],
    }),
  }),
});
