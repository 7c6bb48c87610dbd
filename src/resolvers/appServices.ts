import type { ObjectRef } from "@pothos/core";
import type { Operating } from "../domain/appservice/operating.ts";
import type { OperatedService } from "../model/appService.ts";
import type { Requester } from "../model/requester.ts";
import { AppService } from "../schema/appService.ts";
import { builder, type Types } from "../schema/builder.ts";
import { domainOf, signedIn } from "./context.ts";

builder.queryField("appServices", (t) =>
  t.field({
    type: [AppService],
    nullable: true,
    description:
      "Admins: the application services, in the order of registration, with the queues of events to them. [AS-5]",
    resolve: (_root, _args, context) => domainOf(context).services.operating.list(signedIn(context)),
  }),
);

const AppServiceInput = builder.inputType("AppServiceInput", { fields: (t) => ({ id: t.id({ required: true }) }) });

function payload(name: string): ObjectRef<Types, OperatedService> {
  return builder.objectRef<OperatedService>(name).implement({
    fields: (t) => ({ appService: t.field({ type: AppService, resolve: (operated) => operated }) }),
  }) as ObjectRef<Types, OperatedService>;
}

const SkipPayload = builder
  .objectRef<OperatedService & { skippedEvents: number }>("SkipAppServiceTransactionPayload")
  .implement({
    fields: (t) => ({
      appService: t.field({ type: AppService, resolve: (operated) => operated }),
      skippedEvents: t.exposeInt("skippedEvents", { description: "0 where no transaction waited." }),
    }),
  });

/** Adds a mutation that is the domain's act. */
function operatingField<Shape>(
  name: string,
  type: ObjectRef<Types, Shape>,
  act: (operating: Operating) => (requester: Requester, input: unknown) => Promise<Shape>,
  description: string,
): void {
  builder.mutationField(name, (t) =>
    t.field({
      type,
      nullable: true,
      description,
      args: { input: t.arg({ type: AppServiceInput, required: true }) },
      resolve: (_root, { input }, context) =>
        act(domainOf(context).services.operating)(signedIn(context), input) as never,
    }),
  );
}

operatingField(
  "wakeAppService",
  payload("WakeAppServicePayload"),
  (operating) => operating.wake,
  "Admins: what waits for an application service is tried at once.",
);
operatingField(
  "pauseAppService",
  payload("PauseAppServicePayload"),
  (operating) => operating.pause,
  "Admins: an application service is sent nothing more until it is resumed; its events wait.",
);
operatingField(
  "resumeAppService",
  payload("ResumeAppServicePayload"),
  (operating) => operating.resume,
  "Admins: a paused application service is sent what waited for it.",
);
operatingField(
  "skipAppServiceTransaction",
  SkipPayload as never,
  (operating) => operating.skip,
  "Admins: drops the oldest transaction that an application service doesn't take, for good, and goes on with the next.",
);
