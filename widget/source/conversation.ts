/** The conversation as this browser knows it: each message once, in order, and the questions that still have to be sent. */

import type { Message, Rating, Reply, UserMessage } from "./protocol.ts";

/** `waiting` for its turn or the connection, `sending`, or `failed` and kept for another try. */
export type Delivery = "waiting" | "sending" | "failed";

export interface Pending {
  message: UserMessage;
  delivery: Delivery;
  /** Why it was not sent, in words. */
  reason: string | null;
}

/** Where unsent questions survive a reload of this tab. */
export interface Keep {
  load(): UserMessage[];
  save(messages: UserMessage[]): void;
}

export class Conversation {
  private messages = new Map<string, Message>();
  private queue: Pending[] = [];

  constructor(private readonly keep: Keep) {
    this.queue = keep.load().map((message) => ({ message, delivery: "waiting", reason: null }));
  }

  /** Everything said and answered, oldest first. */
  get said(): Message[] {
    return [...this.messages.values()];
  }

  get pending(): readonly Pending[] {
    return this.queue;
  }

  get isEmpty(): boolean {
    return this.messages.size === 0 && this.queue.length === 0;
  }

  get lastReply(): Reply | null {
    return this.said.findLast((message): message is Reply => message.from === "assistant") ?? null;
  }

  /** Questions offered by the replies since the last question, until it is answered by asking one. */
  get offered(): string[] {
    if (this.queue.length > 0) return [];
    const since = this.said.slice(this.said.findLastIndex((message) => message.from === "user") + 1);
    return [...new Set(since.flatMap((message) => (message.from === "assistant" ? message.next : [])))];
  }

  /** The next question to send, or nothing while one is under way or failed before it. */
  get next(): Pending | null {
    const first = this.queue[0];
    return first?.delivery === "waiting" ? first : null;
  }

  ask(message: UserMessage): void {
    if (this.messages.has(message.id) || this.queue.some((pending) => pending.message.id === message.id)) return;
    this.queue.push({ message, delivery: "waiting", reason: null });
    this.save();
  }

  mark(id: string, delivery: Delivery, reason: string | null = null): void {
    for (const pending of this.queue) {
      if (pending.message.id === id) Object.assign(pending, { delivery, reason });
    }
  }

  /** The failed questions are to be sent again. */
  retry(): void {
    for (const pending of this.queue) {
      if (pending.delivery === "failed") Object.assign(pending, { delivery: "waiting", reason: null });
    }
  }

  /**
   * A turn is done: the question leaves the queue and the replies follow it.
   *
   * Returns the replies that were not known yet.
   */
  answer(id: string, replies: Message[]): Message[] {
    const pending = this.queue.find((item) => item.message.id === id);
    this.drop(id);
    return this.add([...(pending ? [pending.message] : []), ...replies]).filter((message) => message.from === "assistant");
  }

  /** Messages that came from elsewhere: another tab's turn. Returns those not known yet. */
  add(messages: Message[]): Message[] {
    const fresh = messages.filter((message) => !this.messages.has(message.id));
    for (const message of messages) {
      this.messages.set(message.id, message);
      this.drop(message.id);
    }
    return fresh;
  }

  /**
   * The server's own record is put in its order; what came after it was made stays behind it.
   *
   * Returns what was not known yet.
   */
  replay(history: Message[]): Message[] {
    const fresh = history.filter((message) => !this.messages.has(message.id));
    const recorded = new Set(history.map((message) => message.id));
    const begin = history[0]?.time ?? 0;
    const others = this.said.filter((message) => !recorded.has(message.id));
    const ordered = [
      ...others.filter((message) => message.time < begin),
      ...history,
      ...others.filter((message) => message.time >= begin),
    ];
    this.messages = new Map(ordered.map((message) => [message.id, message]));
    // A question the server has answered is not sent again; one it has only heard still waits for its answer.
    history.forEach((message, place) => {
      if (message.from === "user" && history[place + 1]?.from === "assistant") this.drop(message.id);
      else if (this.queue.some((pending) => pending.message.id === message.id)) this.messages.delete(message.id);
    });
    return fresh.filter((message) => this.messages.has(message.id));
  }

  rate(id: string, rating: Rating | null): void {
    const message = this.messages.get(id);
    if (message?.from === "assistant") this.messages.set(id, { ...message, feedback: rating });
  }

  /** Only what was said; the questions that wait stay. */
  forgetSaid(): void {
    this.messages.clear();
  }

  clear(): void {
    this.messages.clear();
    this.queue = [];
    this.save();
  }

  private drop(id: string): void {
    const before = this.queue.length;
    this.queue = this.queue.filter((pending) => pending.message.id !== id);
    if (this.queue.length !== before) this.save();
  }

  private save(): void {
    this.keep.save(this.queue.map((pending) => pending.message));
  }
}
