import { expect } from "vitest";
import type { Client } from "../../kit/client.ts";

export const register = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }";

const account = "account { user { id } admin deactivatedAt deactivationReason }";
/** What admins do, by name. */
export const documents = {
  deactivateUser: `mutation ($input: DeactivateUserInput!) { deactivateUser(input: $input) { ${account} } }`,
  reactivateUser: `mutation ($input: ReactivateUserInput!) { reactivateUser(input: $input) { ${account} } }`,
  resetPassword: `mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { ${account} } }`,
  setUserAdmin: `mutation ($input: SetUserAdminInput!) { setUserAdmin(input: $input) { ${account} } }`,
  createRegistrationToken: `mutation ($input: CreateRegistrationTokenInput!) {
    createRegistrationToken(input: $input) { registrationToken { token createdAt expiresAt usesLeft } }
  }`,
  deleteRegistrationToken: `mutation ($input: DeleteRegistrationTokenInput!) {
    deleteRegistrationToken(input: $input) { token deleted }
  }`,
};
export type Mutation = keyof typeof documents;

/** The code and field of what is refused. */
export async function refused(client: Client, name: Mutation, input: Record<string, unknown>): Promise<unknown> {
  const { data, errors } = await client.ask(documents[name], { input });
  expect(data?.[name] ?? null).toBeNull();
  return errors?.[0]?.extensions;
}
