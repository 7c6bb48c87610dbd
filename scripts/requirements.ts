import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";

/**
 * Lists the requirements of docs/specification.md that no test name mentions, and the numbers in test names that the
 * specification doesn't have. With `--strict` either makes the exit code 1.
 */
const number = /\b[A-Z]{2,4}-\d+\b/g;

function numbersIn(text: string): string[] {
  return text.match(number) ?? [];
}

/** The string that a call begins with, as in `test("[SYN-2] …", …)`, for all calls below a node. */
function* firstArguments(node: ts.Node): Generator<string> {
  const first = ts.isCallExpression(node) ? node.arguments[0] : undefined;
  if (first && (ts.isStringLiteralLike(first) || ts.isTemplateExpression(first))) yield first.getText();
  const children: ts.Node[] = [];
  node.forEachChild((child) => void children.push(child));
  for (const child of children) yield* firstArguments(child);
}

function numbersInTestNames(path: string): string[] {
  const file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  return [...firstArguments(file)].flatMap(numbersIn);
}

const mentioned = new Set(numbersIn(readFileSync("docs/specification.md", "utf8")));
// SHA-256 looks like a requirement, but only families of requirements have a number 1.
const specified = new Set([...mentioned].filter((id) => mentioned.has(id.replace(/\d+$/, "1"))));
const testFiles = readdirSync("test", { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".test.ts"),
);
const tested = new Set(testFiles.flatMap((name) => numbersInTestNames(`test/${name}`)));

const families = new Set([...specified].map((id) => id.replace(/\d+$/, "")));
const untested = [...specified].filter((id) => !tested.has(id));
const unknown = [...tested].filter((id) => families.has(id.replace(/\d+$/, "")) && !specified.has(id));

console.log(`${specified.size} requirements, ${untested.length} without a test`);
for (const id of untested) console.log(id);
for (const id of unknown) console.log(`${id} is in a test name, but not in the specification`);
if (process.argv.includes("--strict") && untested.length + unknown.length > 0) process.exitCode = 1;
