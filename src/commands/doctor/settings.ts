import { isForTryingOut, unknownSettings, type Config } from "../../config.ts";
import { ok, problem, warning, type Finding } from "./finding.ts";

const about = "settings";
const oldestNode = [20, 19] as const;

/** Whether this Node is one that hearth runs on. */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [needMajor, needMinor] = oldestNode;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return ok("node", `Node ${version}`);
  return problem("node", `Node ${version} is too old`, `install Node ${needMajor}.${needMinor} or later`);
}

/** What is odd in settings that can be read. */
export function* checkSettings(config: Config, environment: Record<string, string | undefined>): Generator<Finding> {
  const { serverName, host, publicUrl } = config;
  yield ok(about, `the server is ${serverName}, and listens on ${host}:${config.port}`);
  for (const name of unknownSettings(environment)) {
    yield warning(about, `${name} is no setting of this release`, "correct its name, or remove it");
  }
  if (isForTryingOut(config)) return;
  if (serverName === "localhost") {
    yield warning(
      about,
      "others reach a server that calls itself localhost, and its ids end so for good",
      "set HEARTH_SERVER_NAME before anybody registers; once they have, it can't be changed",
    );
  }
  if (publicUrl === null) {
    yield warning(
      about,
      "clients aren't told how they reach the server",
      "set HEARTH_PUBLIC_URL to the address of the proxy",
    );
  } else if (publicUrl.startsWith("http:")) {
    yield warning(
      about,
      `HEARTH_PUBLIC_URL is not encrypted: passwords and tokens can be read on the way`,
      "put a proxy with TLS before the server, and set an https address",
    );
  }
  if (config.registration === "open") {
    yield warning(about, "anybody may register", "set HEARTH_REGISTRATION to token or closed, unless that is meant");
  }
  if (config.serviceRegistration === "open") {
    yield problem(
      about,
      "anybody may register an application service",
      "set HEARTH_AS_REGISTRATION to off, or to tokens",
    );
  }
}
