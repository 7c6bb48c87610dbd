import type { Namespace, OperatedService } from "../model/appService.ts";
import { builder } from "./builder.ts";
import { User } from "./refs.ts";

const AppServiceState = builder.enumType("AppServiceState", {
  values: {
    UP: { description: "Events are sent as they come." },
    DOWN: { description: "It failed; what waits is tried again later, at `retryAt`." },
    RECOVERING: { description: "What has gathered is being sent, the oldest first." },
  },
});

const AppServiceNamespace = builder.objectRef<Namespace>("AppServiceNamespace").implement({
  fields: (t) => ({
    regex: t.string({ resolve: ({ expression }) => expression.source }),
    exclusive: t.exposeBoolean("exclusive", { description: "Nobody else may make such ids. [AS-8]" }),
  }),
});

export const AppService = builder.objectRef<OperatedService>("AppService").implement({
  description:
    "An application service, such as a bridge, as admins see it: who it is, and what waits for it. [AS-1, AS-5]",
  fields: (t) => ({
    id: t.id({ resolve: ({ service }) => service.id }),
    url: t.string({ nullable: true, description: "Null: it is never called.", resolve: ({ service }) => service.url }),
    sender: t.field({
      type: User,
      description: "The user that it is itself.",
      resolve: ({ service }) => ({ kind: "USER" as const, userId: service.sender }),
    }),
    userNamespaces: t.field({ type: [AppServiceNamespace], resolve: ({ service }) => service.namespaces.users }),
    aliasNamespaces: t.field({ type: [AppServiceNamespace], resolve: ({ service }) => service.namespaces.aliases }),
    roomNamespaces: t.field({ type: [AppServiceNamespace], resolve: ({ service }) => service.namespaces.rooms }),
    protocols: t.stringList({ resolve: ({ service }) => service.protocols }),
    state: t.field({ type: AppServiceState, resolve: ({ queue }) => queue.state }),
    paused: t.boolean({ resolve: ({ queue }) => queue.paused }),
    queueDepth: t.int({ description: "Events that it hasn't taken yet.", resolve: ({ queue }) => queue.depth }),
    oldestQueuedAt: t.field({
      type: "DateTime",
      nullable: true,
      description: "Since when the oldest of them waits.",
      resolve: ({ queue }) => queue.oldestAt,
    }),
    failures: t.int({ description: "Failures since it took something last.", resolve: ({ queue }) => queue.failures }),
    lastError: t.string({
      nullable: true,
      description: "What went wrong last, whenever that was.",
      resolve: ({ queue }) => queue.lastError,
    }),
    retryAt: t.field({ type: "DateTime", nullable: true, resolve: ({ queue }) => queue.retryAt }),
  }),
});
