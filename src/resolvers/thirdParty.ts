import { builder } from "../schema/builder.ts";
import { domainOf, signedIn } from "./context.ts";

const description =
  "on this server that a third-party network address maps to, e.g. irc://irc.example.org/bob. [AS-12]";

builder.queryField("userByUri", (t) =>
  t.id({
    nullable: true,
    description: `The id of the user ${description}`,
    args: { uri: t.arg.string({ required: true }) },
    resolve(_root, { uri }, context) {
      signedIn(context);
      return domainOf(context).services.lookups.userByUri(uri);
    },
  }),
);

builder.queryField("aliasByUri", (t) =>
  t.id({
    nullable: true,
    description: `The room alias ${description}`,
    args: { uri: t.arg.string({ required: true }) },
    resolve(_root, { uri }, context) {
      signedIn(context);
      return domainOf(context).services.lookups.aliasByUri(uri);
    },
  }),
);
