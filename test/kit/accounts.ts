import { createHash, randomBytes } from "node:crypto";
import { Client } from "./client.ts";
import { sql } from "./database.ts";

/** Signs in that many new users straight in the store: hashing the passwords of hundreds would take its time. */
export async function addAccounts(server: { address: string; databaseUrl: string }, count: number): Promise<Client[]> {
  const clients = Array.from({ length: count }, (_, index) => {
    const token = `hearth_${randomBytes(32).toString("base64url")}`;
    return new Client(server.address, token, `@many${index}:localhost`, "device");
  });
  await sql(
    server.databaseUrl,
    `WITH made AS (SELECT * FROM unnest($1::text[], $2::text[]) AS made(user_id, hash)),
       accounts AS (INSERT INTO account (user_id) SELECT user_id FROM made RETURNING user_id),
       devices AS (INSERT INTO device (user_id, device_id) SELECT user_id, 'device' FROM accounts RETURNING user_id)
     INSERT INTO access_token (id, secret_hash, user_id, device_id)
     SELECT 'token of ' || user_id, decode(hash, 'hex'), user_id, 'device' FROM devices JOIN made USING (user_id)`,
    [
      clients.map(({ userId }) => userId),
      clients.map(({ token }) => createHash("sha256").update(token!).digest("hex")),
    ],
  );
  return clients;
}
