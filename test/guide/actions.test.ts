import { readdirSync, readFileSync } from "node:fs";
import { buildSchema, getNamedType, isInputObjectType, parse, visit, type GraphQLInputObjectType } from "graphql";
import { describe, expect, test } from "vitest";
import { errorCodes, type ErrorCode } from "../../src/model/errors.ts";
import { stepsOf, type Step } from "./support/page.ts";

// Every mutation is described in the guide. That what is said there is so, guide.test.ts shows.

/** Mutations that the guide doesn't describe. */
const undescribed: readonly string[] = [];

/** Codes that no example shows, and why. */
const unshown: Partial<Record<ErrorCode, string>> = {
  REGISTRATION_CLOSED: "the guide's server takes all registrations; test/api/accounts.test.ts has others",
  OVERLOADED: "the store would have to be away",
  TIMEOUT: "an application service would have to be away; test/appservice/queries.test.ts has others",
  STALE_SESSION: "the requests of the pages name no session; test/api/sessions.test.ts has others",
  INTERNAL: "something would have to go wrong",
};

const folder = "docs/guide/";
const pages = readdirSync(folder).map((name) => ({ name, text: readFileSync(`${folder}${name}`, "utf8") }));
const entry = pages.find(({ name }) => name === "actions.md")!.text;
const mutations = buildSchema(readFileSync("schema.graphql", "utf8")).getMutationType()!.getFields();
const described = Object.keys(mutations).filter((name) => !undescribed.includes(name));

describe.each(described)("%s", (mutation) => {
  const place = findSection(mutation);

  test("has a heading with its name, and is listed with all actions", () => {
    expect(place, `no page has the heading "## ${mutation}"`).not.toBeNull();
    expect(entry).toContain(`[${mutation}](${place!.page.name}#${mutation.toLowerCase()})`);
  });

  test("is used in an example below its heading", () => {
    const used = stepsOf(place!.section, place!.page.name).flatMap(mutationsOf);
    expect(used).toContain(mutation);
  });

  test("has every key of its input explained", () => {
    const inputs = mutations[mutation]!.args.map(({ type }) => getNamedType(type)).filter(isInputObjectType);
    // Keys that several mutations share are explained once, on a page that the others lead to.
    const linked = [...place!.section.matchAll(/\]\((\w+\.md)/g)].map(([, name]) => name);
    const texts = pages.filter(({ name }) => linked.includes(name)).map(({ text }) => text);
    const explained = [place!.page.text, entry, ...texts].join("\n");
    expect(inputs.flatMap((input) => keysOf(input)).filter((key) => !explained.includes(`\`${key}\``))).toEqual([]);
  });
});

test("nothing that is described is said not to be", () => {
  expect(undescribed.filter((name) => findSection(name) !== null || !(name in mutations))).toEqual([]);
});

test("an error of every code is shown, or there is a reason why not", () => {
  const answers = pages.flatMap(({ name, text }) => stepsOf(text, name)).map(({ answer }) => JSON.stringify(answer));
  const shown = errorCodes.filter((code) =>
    answers.some((answer) => answer.includes(`"extensions":{"code":"${code}"`)),
  );
  expect([...shown, ...Object.keys(unshown)].sort()).toEqual([...errorCodes].sort());
});

/** The page with the heading, and what stands between it and the next heading of its level. */
function findSection(mutation: string) {
  for (const page of pages) {
    const [, section] = new RegExp(`^## ${mutation}\\n(.*?)(?=^## |(?![^]))`, "ms").exec(page.text) ?? [];
    if (section !== undefined) return { page, section };
  }
  return null;
}

/** The mutations that a document uses. */
function mutationsOf({ document }: Step): string[] {
  if (document?.kind !== "mutation") return [];
  const fields: string[] = [];
  visit(parse(document.text), {
    Field(field) {
      fields.push(field.name.value);
      return false;
    },
  });
  return fields;
}

/** The keys of an input, and of the inputs in it. */
function keysOf(input: GraphQLInputObjectType): string[] {
  return Object.values(input.getFields()).flatMap(({ name, type }) => {
    const inner = getNamedType(type);
    return [name, ...(isInputObjectType(inner) ? keysOf(inner) : [])];
  });
}
