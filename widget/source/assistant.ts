/** One conversation from the first question on: sends in order, tries again, and says in words what the state is. */

import type { ChannelEvents, Transport } from "./channel.ts";
import { Conversation } from "./conversation.ts";
import { ChannelError, type Message, type Rating, type Reply } from "./protocol.ts";

export type Link = "idle" | "online" | "lost" | "offline";

export interface AssistantEvents {
  /** Something to be shown has changed. */
  changed(): void;
  /** A turn brought these replies: to be announced once, together. */
  replied(replies: Reply[]): void;
  /** A fact for the person, by its name in the locale file. */
  notice(name: Notice, values?: Record<string, number>): void;
}

export type Notice = "online_again" | "erased" | "ended" | "erase_failed" | "history_failed" | "feedback_failed" | "feedback_thanks";

const RETRIED: Record<string, "too_many" | "busy"> = { too_many: "too_many", busy: "busy" };
/** Seconds. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 15;
const DEFAULT_RETRY = 10;

/** 128 random bits; `crypto.randomUUID` is missing on plain http pages. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Assistant {
  link: Link = "idle";
  /** A turn is under way, here or in another tab. */
  typing = false;
  /** Seconds until the queue goes on, when the server asked us to wait, and why. */
  pause: { reason: "too_many" | "busy"; seconds: number } | null = null;

  private pumping = false;
  private unreachable = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly conversation: Conversation,
    private readonly channel: Transport,
    private readonly events: AssistantEvents,
    /** Words for a question that failed and was given none by the channel. */
    private readonly failed: () => string,
    private readonly isOnline: () => boolean = () => navigator.onLine,
  ) {}

  /** Take up a kept conversation, and send what could not be sent before the page was left. */
  start(): void {
    const events: ChannelEvents = {
      connected: () => {
        const wasLost = this.link === "lost" || this.link === "offline";
        this.link = "online";
        this.unreachable = 0;
        if (wasLost) this.events.notice("online_again");
        void this.catchUp();
      },
      disconnected: () => this.lose(),
      turn: (messages) => {
        this.typing = false;
        this.tell(this.conversation.add(messages));
        this.events.changed();
      },
      typing: (on) => {
        this.typing = on;
        this.events.changed();
      },
      erased: () => this.leave("erased"),
      switched: () => this.leave(null),
      ended: () => {
        // What was asked and not answered yet is asked in the new conversation.
        this.conversation.forgetSaid();
        this.events.notice("ended");
        this.events.changed();
      },
    };
    this.channel.connect(events);
    if (this.channel.hasSession) void this.catchUp();
    else void this.pump();
  }

  ask(text: string): void {
    this.conversation.ask({ id: newId(), from: "user", text, time: Date.now() / 1000 });
    this.events.changed();
    void this.pump();
  }

  /** Try at once: the person asked for it, or the device says it is back. */
  tryNow(): void {
    this.conversation.retry();
    this.pause = null;
    this.channel.wake();
    this.events.changed();
    void this.pump();
  }

  /** The device went on or off the network. */
  networkChanged(): void {
    if (this.isOnline()) this.tryNow();
    else this.lose();
  }

  async rate(reply: Reply, rating: Rating | null, reason?: string): Promise<void> {
    const before = reply.feedback;
    this.conversation.rate(reply.id, rating);
    this.events.changed();
    try {
      await this.channel.rate(reply.id, rating, reason);
      if (rating) this.events.notice("feedback_thanks");
    } catch {
      this.conversation.rate(reply.id, before);
      this.events.notice("feedback_failed");
    }
    this.events.changed();
  }

  async erase(): Promise<void> {
    try {
      await this.channel.erase();
      this.leave("erased");
    } catch {
      this.events.notice("erase_failed");
    }
  }

  startNew(): void {
    this.channel.forget();
    this.leave(null);
  }

  private leave(notice: Notice | null): void {
    this.stopTimer();
    this.conversation.clear();
    this.link = "idle";
    this.typing = false;
    this.pause = null;
    if (notice) this.events.notice(notice);
    this.events.changed();
  }

  private lose(): void {
    this.link = this.isOnline() ? "lost" : "offline";
    this.typing = false;
    this.events.changed();
  }

  private tell(fresh: Message[]): void {
    const replies = fresh.filter((message): message is Reply => message.from === "assistant");
    if (replies.length > 0) this.events.replied(replies);
  }

  /** Fetch what was said while this page was away, then send what is waiting. */
  private async catchUp(): Promise<void> {
    try {
      const seenBefore = !this.conversation.isEmpty;
      const fresh = this.conversation.replay(await this.channel.history());
      // After a reload nothing is news; after a lost connection an answer is.
      if (seenBefore) this.tell(fresh);
    } catch (error) {
      if (error instanceof ChannelError && error.code === "unreachable") {
        this.lose();
        this.tryLater();
        return;
      }
      this.events.notice("history_failed");
    }
    this.events.changed();
    await this.pump();
  }

  private async pump(): Promise<void> {
    if (this.pumping || this.pause) return;
    this.pumping = true;
    try {
      for (let next = this.conversation.next; next; next = this.conversation.next) {
        const { message } = next;
        this.conversation.mark(message.id, "sending");
        this.typing = true;
        this.events.changed();
        try {
          const replies = await this.channel.send(message);
          this.unreachable = 0;
          if (this.link !== "online") this.link = "online";
          this.tell(this.conversation.answer(message.id, replies));
        } catch (error) {
          this.setBack(message.id, error);
          return;
        } finally {
          this.typing = false;
          this.events.changed();
        }
      }
    } finally {
      this.pumping = false;
    }
  }

  private setBack(id: string, error: unknown): void {
    const problem = error instanceof ChannelError ? error : new ChannelError("failed", "");
    const reason = RETRIED[problem.code];
    if (problem.code === "unreachable") {
      this.conversation.mark(id, "waiting");
      this.lose();
      this.tryLater();
    } else if (reason) {
      this.conversation.mark(id, "waiting");
      this.pause = { reason, seconds: Math.ceil(problem.retryAfter ?? DEFAULT_RETRY) };
      this.countDown();
    } else {
      this.conversation.mark(id, "failed", problem.message || this.failed());
    }
  }

  private tryLater(): void {
    this.stopTimer();
    const pause = Math.min(FIRST_PAUSE * 2 ** this.unreachable, LONGEST_PAUSE);
    this.unreachable += 1;
    // Spread, so that a thousand open pages do not come back in the same second.
    this.timer = setTimeout(
      () => {
        if (this.channel.hasSession) void this.catchUp();
        else void this.pump();
      },
      pause * (500 + Math.random() * 1000),
    );
  }

  private countDown(): void {
    this.stopTimer();
    this.timer = setTimeout(() => {
      if (!this.pause) return;
      this.pause.seconds -= 1;
      if (this.pause.seconds > 0) this.countDown();
      else {
        this.pause = null;
        void this.pump();
      }
      this.events.changed();
    }, 1000);
  }

  private stopTimer(): void {
    clearTimeout(this.timer);
  }
}
