import { randomBytes } from "node:crypto";
import { required, ServerError, type Connection } from "./connection.ts";
import { LoginDocument, RegisterDocument } from "./generated/graphql.ts";
import { UsageError, type Options } from "./options.ts";
import type { Screen } from "./screen.ts";

/** Signs in, asking for what the options leave open; gives the user's id. */
export async function signIn(connection: Connection, screen: Screen, options: Options): Promise<string> {
  const username = options.name ?? answered(await screen.ask("Name: "), "name");
  const password = options.password ?? answered(await screen.ask("Password: ", { hidden: true }), "password");
  // A device of its own for every run, so that two terminals of one user don't sign each other out.
  const deviceId = `terminal-${randomBytes(4).toString("hex")}`;
  const input = { username, password, deviceId, deviceName: "Terminal chat" };
  const register = async () => required((await connection.execute(RegisterDocument, { input })).register);
  const login = async () => {
    try {
      return required((await connection.execute(LoginDocument, { input })).login);
    } catch (error) {
      if (!(error instanceof ServerError && error.code === "BAD_CREDENTIALS") || !screen.interactive) throw error;
      screen.print(`No account goes by this name and password.`);
      const answer = await screen.ask(`Make a new account “${username}”? [y/N] `);
      if (!/^y(es)?$/i.test(answer ?? "")) throw error;
      return register();
    }
  };
  const { accessToken, viewer } = options.register ? await register() : await login();
  connection.accessToken = accessToken;
  return viewer.user.id;
}

function answered(answer: string | null, what: string): string {
  if (answer === null || answer === "") throw new UsageError(`Without a ${what} nobody can be signed in.`);
  return answer;
}
