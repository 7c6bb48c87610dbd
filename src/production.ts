// Imported before all else: libraries look at this once, when they are loaded. graphql-js compares every value by
// name as well, unless it is told that it needn't find mistakes of developers.
process.env["NODE_ENV"] ??= "production";
// Also where a command is run by its name, without Node's options.
process.setSourceMapsEnabled(true);
