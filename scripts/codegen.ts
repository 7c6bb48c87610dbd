import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { preset } from "@graphql-codegen/client-preset";
import { codegen } from "@graphql-codegen/core";
import { parse } from "graphql";

/**
 * Makes typed documents out of an example's operations and the printed schema; needs neither a server nor the network.
 * The command line tool of graphql-codegen would do the same with many more dependencies.
 */
const folder = "examples/terminal-chat";
const operations = join(folder, "operations.graphql");
const generated = join(folder, "generated/");

const schema = parse(readFileSync("schema.graphql", "utf8"));
const rawSDL = readFileSync(operations, "utf8");

const sections = await preset.buildGeneratesSection({
  baseOutputDir: generated,
  schema,
  documents: [{ location: operations, rawSDL, document: parse(rawSDL) }],
  plugins: [],
  pluginMap: {},
  presetConfig: { fragmentMasking: false },
  config: {
    // Strings keep the generated code free of dependencies, and type imports fit `verbatimModuleSyntax`.
    documentMode: "string",
    useTypeImports: true,
    enumType: "string-literal",
    strictScalars: true,
    scalars: {
      ChunkToken: "string",
      DateTime: "string",
      ID: "string",
      JSON: "unknown",
      JSONObject: "Record<string, unknown>",
      StreamToken: "string",
      FilterToken: "string",
    },
  },
});

// The other sections are for documents that are written inside of source files.
const section = sections.find(({ filename }) => filename.endsWith("/graphql.ts"));
if (section === undefined) throw new Error("The preset generated no graphql.ts.");
mkdirSync(generated, { recursive: true });
writeFileSync(section.filename, await codegen(section));
