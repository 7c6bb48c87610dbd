/**
 * The layers of src, and what each may import besides itself and the model. Everything that isn't listed is forbidden.
 * Type-only imports count, so that a layer's types can't leak upwards either.
 */
const layers = {
  "src/main.ts": ["src/production.ts", "src/commands/"],
  "src/commands/": [
    "src/app.ts",
    "src/config.ts",
    "src/contentRepository.ts",
    "src/insight/",
    "src/registrationFiles.ts",
    "src/system.ts",
    "src/transport/",
    "src/domain/",
    "src/store/",
  ],
  "src/transports.ts": ["src/config.ts", "src/transport/", "src/domain/"],
  "src/app.ts": [
    "src/transports.ts",
    "src/config.ts",
    "src/contentRepository.ts",
    "src/persistedOperationsFile.ts",
    "src/registrationFiles.ts",
    "src/insight/",
    "src/transport/",
    "src/resolvers/",
    "src/schema/",
    "src/domain/",
    "src/store/",
  ],
  "src/contentRepository.ts": ["src/config.ts", "src/domain/", "src/store/"],
  "src/registrationFiles.ts": ["src/domain/"],
  "src/persistedOperationsFile.ts": ["src/config.ts", "src/transport/"],
  "src/production.ts": [],
  "src/config.ts": ["src/settings.ts"],
  "src/settings.ts": [],
  "src/system.ts": [],
  "src/insight/": ["src/domain/", "src/store/"],
  "src/transport/": ["src/config.ts", "src/resolvers/", "src/schema/", "src/domain/"],
  "src/resolvers/": ["src/schema/", "src/domain/"],
  "src/schema/": [],
  "src/domain/": ["src/store/"],
  "src/store/": ["generated/prisma/"],
  "src/model/": [],
};

/** A pattern for paths that begin with one of these. */
const under = (paths) => `^(${paths.map((path) => path.replaceAll(".", "\\.")).join("|")})`;

/** A pattern for npm packages, wherever they are installed. */
const npm = (names) => `(^|node_modules/)(${names.join("|")})(/|$)`;

const apiAndDatabasePackages = npm(["graphql", "graphql-yoga", "@pothos/[^/]+", "@prisma/[^/]+", "pg"]);

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    ...Object.entries(layers).map(([layer, allowed]) => ({
      name: `layer ${layer}`,
      comment: `may import only ${[layer, ...allowed, "src/model/"].join(", ")}`,
      severity: "error",
      from: { path: under([layer]) },
      to: {
        path: under(["src/", "generated/", "test/", "bench/", "examples/", "scripts/"]),
        pathNot: under([layer, ...allowed, "src/model/"]),
      },
    })),
    {
      name: "every file has a layer",
      severity: "error",
      from: { path: "^src/", pathNot: under(Object.keys(layers)) },
      to: {},
    },
    {
      name: "no API or database packages",
      comment: "The domain and the model know neither GraphQL nor Prisma.",
      severity: "error",
      from: { path: under(["src/domain/", "src/model/"]) },
      to: { path: apiAndDatabasePackages },
    },
    {
      name: "model without I/O",
      severity: "error",
      from: { path: under(["src/model/"]) },
      to: { path: "^(node:)?(fs|net|http|https|http2|tls|dgram|child_process|worker_threads)(/|$)" },
    },
    {
      name: "imports resolve",
      severity: "error",
      from: { path: "^src/" },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: ["node_modules", "^generated/"] },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
