/** The part of irc-framework that the bridge uses; the package brings no types. */
declare module "irc-framework" {
  interface Someone {
    nick: string;
    ident: string;
    hostname: string;
  }

  interface Message extends Someone {
    from_server: boolean;
    target: string;
    message: string;
    /** Milliseconds since 1970, where the network tells the time. */
    time?: number;
  }

  interface Events {
    registered: { nick: string };
    "server options": { options: Record<string, string | undefined> };
    "nick in use": { nick: string };
    "nick invalid": { nick: string };
    close: boolean;
    "socket close": Error | false | undefined;
    pong: { message: string };
    "irc error": { error: string; reason?: string };
    privmsg: Message;
    action: Message;
    notice: Message;
    join: Someone & { channel: string };
    part: Someone & { channel: string; message: string };
    quit: Someone & { message: string };
    kick: Someone & { kicked: string; channel: string; message: string };
    nick: Someone & { new_nick: string };
    topic: { channel: string; topic: string; nick?: string };
    userlist: { channel: string; users: { nick: string }[] };
  }

  /** A line from the server. */
  interface Line {
    command: string;
    params: string[];
  }

  interface Options {
    host: string;
    port: number;
    tls: boolean;
    nick: string;
    username: string;
    gecos: string;
    version: string;
    auto_reconnect: boolean;
  }

  type Middleware = (command: string, line: Line, raw: string, client: Client, next: () => void) => void;

  class Client {
    constructor(options: Options);
    options: Options;
    user: { nick: string };
    connected: boolean;
    connect(): void;
    quit(message: string): void;
    raw(...parts: string[]): void;
    changeNick(nick: string): void;
    use(register: (client: Client, raw: { use(middleware: Middleware): void }) => void): this;
    on<Name extends keyof Events>(event: Name, listener: (event: Events[Name]) => void): this;
  }

  const framework: { Client: typeof Client };
  export default framework;
  export type { Client, Events, Message };
}
