import { defineConfig } from "prisma/config";

// These commands never touch a database, so they need no native schema engine; pointing at a program that exists
// keeps Prisma from trying to download one.
if (/\b(generate|validate|format)\b/.test(process.argv.join(" "))) {
  process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;
}

export default defineConfig({
  schema: "prisma/schema.prisma",
  migrations: { path: "prisma/migrations" },
  datasource: { url: process.env.DATABASE_URL ?? "postgresql://localhost/hearth" },
});
