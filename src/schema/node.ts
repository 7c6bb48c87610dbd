import { builder } from "./builder.ts";

export const Node = builder.interfaceRef<object>("Node").implement({
  description: "Users, rooms and events go by their own ids, which are unique in the world; other ids are opaque.",
  fields: (t) => ({ id: t.id({ resolve: () => "" }) }),
});
