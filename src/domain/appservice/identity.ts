import { badInput, HearthError } from "../../model/errors.ts";
import { isUserId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { findAccount } from "../../store/accounts.ts";
import type { Connection } from "../../store/database.ts";
import type { AppService } from "../../model/appService.ts";
import type { Accounts, Origin } from "../accounts.ts";
import { serviceAs } from "./acting.ts";
import { hashOf } from "./registrations.ts";
import type { Registry } from "./registry.ts";

/** Whom a service wants to act as, besides showing its token. [AS-6] */
export interface ActingAs {
  /** A user of its namespaces; null for its own. */
  userId: string | null;
  /** The access token of a real user. */
  userToken: string | null;
}

export interface Identity {
  /** The service whose token this is; null for a token that is none of a service. */
  service(accessToken: string): AppService | null;
  /**
   * Who asks with the token of a service. Throws `FORBIDDEN` for users outside its namespaces and for those that aren't
   * registered, which makes bridges register them; `UNKNOWN_TOKEN` for a `userToken` that doesn't hold. [AS-6]
   */
  requester(service: AppService, acting: ActingAs, origin: Origin): Promise<Requester>;
}

export function createIdentity({
  connection,
  registry,
  accounts,
}: {
  connection: Connection;
  registry: Registry;
  accounts: Accounts;
}): Identity {
  return {
    service: (accessToken) => registry.current().withToken(Buffer.from(hashOf(accessToken)).toString("hex")),

    async requester(service, { userId, userToken }, origin) {
      if (userToken !== null) {
        if (userId !== null) throw badInput("user_token", "comes with a user_id: name one of them");
        const linked = await accounts.authenticate(userToken, origin);
        return serviceAs(service.id, linked.userId, "linked", linked.tokenId);
      }
      const acting = userId ?? service.sender;
      if (!isUserId(acting)) throw badInput("user_id", "is not a user id like @name:server");
      if (!registry.current().has(service.id, "users", acting)) {
        throw new HearthError("FORBIDDEN", "The application service can't act as this user.", { field: "user_id" });
      }
      const account = await findAccount(connection, acting);
      if (account === null || account.deletedAt !== null || account.deactivatedAt !== null) {
        throw new HearthError("FORBIDDEN", "The application service has not registered this user.", {
          field: "user_id",
        });
      }
      // Of one that registered itself where anybody may, people's accounts aren't its own, nor are the users of another service.
      const others = registry.current().isOthers("users", acting, service);
      if (!service.trusted && (account.passwordHash !== null || others)) {
        throw new HearthError("FORBIDDEN", "The application service can't act as this user.", { field: "user_id" });
      }
      return serviceAs(service.id, acting);
    },
  };
}
