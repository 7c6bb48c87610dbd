import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { until } from "../../kit/until.ts";

/** Someone on IRC, with what the server sends them. */
export class IrcPerson {
  readonly lines: string[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    let rest = "";
    socket.setEncoding("utf8").on("error", () => undefined);
    socket.on("data", (text: string) => {
      const lines = (rest + text).split("\r\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line.startsWith("PING ")) this.send(line.replace("PING", "PONG"));
        else this.lines.push(line);
      }
    });
  }

  static async connect(port: number, nick: string): Promise<IrcPerson> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const person = new IrcPerson(socket);
    person.send(`NICK ${nick}`, "USER person 0 * :A person");
    await person.gets(` 001 ${nick} `);
    return person;
  }

  send(...lines: string[]): void {
    for (const line of lines) this.#socket.write(`${line}\r\n`);
  }

  /** Waits for a line that has the text; gives the first. */
  async gets(text: string): Promise<string> {
    await until(
      () => this.count(text) > 0,
      () => `no line has “${text}”:\n${this.lines.join("\n")}`,
    );
    return this.lines.find((line) => line.includes(text))!;
  }

  /** How many lines have the text. */
  count(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  /** What a nick said that begins with a text, in order, wherever it was said. */
  saidBy(nick: string, beginning = ""): string[] {
    return this.lines.flatMap((line) => {
      const [, speaker, said] = /^:([^! ]+)\S* PRIVMSG \S+ :(.*)$/s.exec(line) ?? [];
      return speaker === nick && said!.startsWith(beginning) ? said! : [];
    });
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return;
    this.#socket.destroy();
    await once(this.#socket, "close");
  }
}
