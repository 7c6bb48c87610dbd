import { startBridge } from "./bridge.ts";
import { help, readOptions } from "./options.ts";
import { readRegistration, writeRegistration } from "./registration.ts";
import { wordsOf } from "./retry.ts";

/** The bridge can't do its work any more. Whoever runs it starts it again. */
function giveUp(error: unknown): never {
  console.error("!!", wordsOf(error));
  process.exit(1);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return console.log(help);
  if (options.register) {
    writeRegistration(options);
    return console.log(`The homeserver needs ${options.registration} now, and then this bridge can start.`);
  }
  const bridge = await startBridge(options, readRegistration(options), giveUp);
  console.log(`The bridge to ${options.irc.host} is ready: #irc_#CHANNEL:${options.serverName} is a channel.`);
  const stop = () => void bridge.stop().then(() => process.exit(0), giveUp);
  process.once("SIGINT", stop).once("SIGTERM", stop);
}

await main().catch(giveUp);
