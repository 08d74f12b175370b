/**
 * Why Redis lets nobody in: Bun's client tells a refused password and a full house as a closed
 * connection, like a server that is gone. This says the same words by hand, once, and reads the
 * answer.
 *
 * @module
 */

const ANSWER_LIMIT_MS = 1_000;
const PORT = 6_379;
/** An error is one line, and short. */
const MOST_READ_CHARACTERS = 512;

/**
 * @returns The error that it answers with, as it writes it, or `CERTIFICATE` if that is not good;
 *   `undefined` if there is none to tell.
 */
export async function whyNot(url: string): Promise<Error | undefined> {
  const { protocol, hostname, port, username, password } = new URL(url);
  if (hostname === "") return undefined;
  const isTls = protocol === "rediss:";
  const user = decodeURIComponent(username) || "default";
  const credentials = password === "" ? [] : ["AUTH", user, decodeURIComponent(password)];
  const hello = commandOf(["HELLO", "3", ...credentials]);
  const answered = Promise.withResolvers<string>();
  const timer = setTimeout(() => answered.resolve(""), ANSWER_LIMIT_MS);
  let text = "";
  try {
    const socket = await Bun.connect({
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? PORT : Number(port),
      ...(isTls && { tls: { serverName: hostname, rejectUnauthorized: true } }),
      socket: {
        open(opened) {
          if (!isTls) opened.write(hello);
        },
        handshake(opened, isOk, fault) {
          // Nobody is told a password who has not shown who he is.
          if (isOk && !fault) opened.write(hello);
          else answered.resolve("-CERTIFICATE");
        },
        data(_, bytes) {
          text += bytes.toString("latin1");
          if (text.includes("\r\n") || text.length > MOST_READ_CHARACTERS) answered.resolve(text);
        },
        close: () => answered.resolve(text),
        error: () => answered.resolve(text),
      },
    });
    const [line = ""] = (await answered.promise).split("\r\n");
    socket.end();
    return line.startsWith("-") ? new Error(line.slice(1, MOST_READ_CHARACTERS)) : undefined;
  } catch {
    // Not reached at all: that is what the caller knows already.
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** RESP: an array of strings, each with its length in bytes. */
function commandOf(words: readonly string[]): string {
  const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${bulk.join("")}`;
}
