import { defineConfig } from "vitest/config";
import { CountReporter } from "./scripts/countReporter.ts";

export default defineConfig({
  // As Node itself resolves it; vite would take the package's `module` entry, and there would be two of it.
  resolve: { alias: [{ find: /^graphql$/, replacement: "graphql/index.js" }] },
  test: {
    environment: "node",
    include: ["test/**/*.test.ts"],
    globalSetup: "test/kit/globalSetup.ts",
    pool: "forks",
    maxWorkers: 2,
    // Each worker reads the modules once, which for so many files of tests is a minute. What a test changes is its own.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", new CountReporter()],
  },
});
