import { readFileSync, writeFileSync } from "node:fs";
import { lexicographicSortSchema, printSchema } from "graphql";
import { schema } from "../src/resolvers/schema.ts";

// Prints the schema to schema.graphql, or with --check says whether it is printed there already.
const file = "schema.graphql";
const printed = `${printSchema(lexicographicSortSchema(schema))}\n`;
if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== printed) {
    console.error(`${file} is out of date: run npm run schema`);
    process.exit(1);
  }
} else {
  writeFileSync(file, printed);
}
