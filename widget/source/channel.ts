/** The way to the assistant: one session, a socket while it works, plain HTTP when it does not. */

import { io, type Socket } from "socket.io-client";
import { ChannelError, readError, readMessages, readSession, readMessage, type Message, type Rating, type UserMessage } from "./protocol.ts";
import { forgetSession, loadSession, saveSession, watchSession, type KeptSession } from "./storage.ts";

export interface ChannelEvents {
  /** The connection works (again): what was missed can be fetched. */
  connected(): void;
  disconnected(): void;
  /** A turn of the same conversation in another tab. */
  turn(messages: Message[]): void;
  typing(on: boolean): void;
  erased(): void;
  /** Another tab moved to another conversation, or ended this one. */
  switched(): void;
  /** The server no longer knows the conversation; a new one has begun. */
  ended(): void;
}

const SESSION_CODES: readonly string[] = ["no_token", "bad_token", "expired"];
const GATEWAY_STATUSES: readonly number[] = [502, 503, 504];
/** Milliseconds: a turn takes well under a second; a server that says nothing for so long is taken for gone. */
const TURN_TIMEOUT = 45_000;
const REQUEST_TIMEOUT = 15_000;
const SOCKET_PATIENCE = 4_000;
/** Failed socket connections after which messages go by HTTP until a socket works. */
const SOCKET_ATTEMPTS = 2;

const now = (): number => Date.now() / 1000;

/** A browser that denies a frame its storage denies it locks too; then there is no other tab to wait for either. */
async function oneTabAtATime(act: () => Promise<void>): Promise<void> {
  let begun = false;
  try {
    await navigator.locks.request("faq-assistant:session", () => {
      begun = true;
      return act();
    });
  } catch (error) {
    if (begun) throw error;
    await act();
  }
}

/** How the assistant talks to the channel; a test may put another in its place. */
export interface Transport {
  readonly hasSession: boolean;
  connect(events: ChannelEvents): void;
  wake(): void;
  send(message: UserMessage): Promise<Message[]>;
  history(): Promise<Message[]>;
  rate(reply: string, value: Rating | null, reason?: string): Promise<void>;
  erase(): Promise<void>;
  forget(): void;
}

export class Channel implements Transport {
  private session: KeptSession | null = loadSession();
  private socket: Socket | null = null;
  private failures = 0;
  private refusals = 0;
  private events: ChannelEvents | null = null;

  /** `base` is the folder the channel serves the widget from. */
  constructor(
    private readonly base: URL,
    private readonly locale: () => string,
  ) {
    watchSession((session) => {
      const same = session?.conversation === this.session?.conversation;
      this.session = session;
      if (same) return;
      this.hangUp();
      this.events?.switched();
      if (session) this.dial();
    });
  }

  get hasSession(): boolean {
    return this.session !== null;
  }

  connect(events: ChannelEvents): void {
    this.events = events;
    if (this.session) this.dial();
  }

  /** The device is back or the page is looked at again: no need to wait out the pause between attempts. */
  wake(): void {
    if (this.socket && !this.socket.connected) this.socket.connect();
  }

  async send(message: UserMessage): Promise<Message[]> {
    return this.withSession(async () => {
      const payload = { id: message.id, text: message.text, metadata: { locale: this.locale() } };
      const socket = await this.workingSocket();
      if (!socket) return readMessages((await this.call("POST", "messages", payload))["replies"]);
      let answer: unknown;
      try {
        answer = await socket.timeout(TURN_TIMEOUT).emitWithAck("message", payload);
      } catch {
        throw new ChannelError("unreachable", "The acknowledgement did not come.");
      }
      const error = readError(answer);
      if (error) throw error;
      return readMessages((answer as Record<string, unknown> | null)?.["replies"]);
    });
  }

  async history(): Promise<Message[]> {
    return this.withSession(async () => readMessages((await this.call("GET", "history"))["messages"]));
  }

  async rate(reply: string, value: Rating | null, reason?: string): Promise<void> {
    await this.withSession(() => this.call("POST", "feedback", { reply, value, ...(reason ? { reason } : {}) }));
  }

  /** The conversation is deleted on the server, and the session with it here. */
  async erase(): Promise<void> {
    if (this.session) await this.call("POST", "erase", {});
    this.forget();
  }

  /** Leave the conversation; the next question begins another. */
  forget(): void {
    this.hangUp();
    this.session = null;
    forgetSession();
  }

  private async withSession<T>(act: () => Promise<T>): Promise<T> {
    await this.ensureSession();
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof ChannelError && SESSION_CODES.includes(error.code))) throw error;
      this.forget();
      this.events?.ended();
      await this.ensureSession();
      return act();
    }
  }

  private async ensureSession(): Promise<void> {
    const current = this.session;
    if (current && now() < current.minted + (current.expires - current.minted) / 2) return;
    // Two tabs that ask their first question at once must end in one conversation.
    const mint = async (): Promise<void> => {
      const kept = loadSession();
      if (kept && kept.token !== current?.token) {
        this.session = kept;
        return;
      }
      try {
        this.session = { ...readSession(await this.call("POST", "session", { locale: this.locale() })), minted: now() };
      } catch (error) {
        const stillValid = this.session !== null && now() < this.session.expires;
        if (stillValid && !(error instanceof ChannelError && SESSION_CODES.includes(error.code))) return;
        throw error;
      }
      saveSession(this.session);
    };
    await oneTabAtATime(mint);
    if (this.session?.conversation !== current?.conversation) this.hangUp();
    if (!this.socket && this.events) this.dial();
  }

  private async call(method: "GET" | "POST", path: string, body?: unknown): Promise<Record<string, unknown>> {
    const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    if (this.session) headers["Authorization"] = `Bearer ${this.session.token}`;
    let response: Response;
    let answer: unknown = null;
    try {
      response = await fetch(new URL(path, this.base), {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.timeout(path === "messages" ? TURN_TIMEOUT : REQUEST_TIMEOUT),
      });
    } catch {
      throw new ChannelError("unreachable", "The assistant could not be reached.");
    }
    try {
      answer = await response.json();
    } catch {
      // Not from the channel itself, but from something before it.
    }
    const error = readError(answer);
    if (error) throw error;
    if (GATEWAY_STATUSES.includes(response.status)) throw new ChannelError("unreachable", `HTTP ${response.status}`);
    if (!response.ok || typeof answer !== "object" || answer === null) throw new ChannelError("failed", `HTTP ${response.status}`);
    return answer as Record<string, unknown>;
  }

  private dial(): void {
    if (this.socket) {
      this.socket.connect();
      return;
    }
    const socket = io(this.base.origin, {
      path: new URL("socket.io", this.base).pathname,
      auth: (give) => give({ token: this.session?.token }),
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      forceNew: true,
      timeout: 8_000,
      reconnectionDelay: 800,
      reconnectionDelayMax: 15_000,
      randomizationFactor: 0.5,
    });
    this.socket = socket;
    socket.on("connect", () => {
      this.failures = 0;
      this.refusals = 0;
      this.events?.connected();
    });
    socket.on("disconnect", (reason) => {
      if (this.socket !== socket) return;
      this.events?.disconnected();
      // The server closed it on purpose (a restart, say): socket.io leaves coming back to us.
      if (reason === "io server disconnect") setTimeout(() => this.socket === socket && socket.connect(), 1_500);
    });
    socket.on("connect_error", (error: Error & { data?: unknown }) => {
      this.failures += 1;
      // Refused with a code, not unreachable: a dead session is replaced with the next question, anything else goes by HTTP.
      const code = readError(error.data)?.code ?? readError({ error: error.data })?.code ?? error.message;
      if (SESSION_CODES.includes(code) && this.refusals === 0) {
        this.refusals += 1;
        this.forget();
        this.events?.ended();
      }
    });
    socket.on("turn", (turn: Record<string, unknown> | null) => {
      const message = readMessage(turn?.["message"]);
      this.events?.turn([...(message ? [message] : []), ...readMessages(turn?.["replies"])]);
    });
    socket.on("typing", (typing: { on?: unknown } | null) => this.events?.typing(typing?.on === true));
    socket.on("erased", () => {
      this.forget();
      this.events?.erased();
    });
  }

  private hangUp(): void {
    const socket = this.socket;
    this.socket = null;
    this.failures = 0;
    socket?.removeAllListeners();
    socket?.disconnect();
  }

  /** The socket once it is connected, or nothing when HTTP has to do. */
  private async workingSocket(): Promise<Socket | null> {
    const socket = this.socket;
    if (!socket) return null;
    if (socket.connected) return socket;
    if (this.failures >= SOCKET_ATTEMPTS) return null;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SOCKET_PATIENCE);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      socket.once("connect", done);
      socket.once("connect_error", done);
    });
    return socket.connected ? socket : null;
  }
}
