/** What this browser remembers. Storage may be blocked or full: then it is remembered until the page is left. */

import { readMessages, type Session, type UserMessage } from "./protocol.ts";
import type { Keep } from "./conversation.ts";

export interface KeptSession extends Session {
  /** Unix seconds. */
  minted: number;
}

const PREFIX = "faq-assistant:";

class Shelf {
  private readonly memory = new Map<string, string>();

  constructor(private readonly kind: "localStorage" | "sessionStorage") {}

  get(name: string): unknown {
    let text = this.memory.get(name) ?? null;
    try {
      text = globalThis[this.kind].getItem(PREFIX + name) ?? text;
    } catch {
      // Blocked: what this page set itself is all there is.
    }
    try {
      return text === null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  set(name: string, value: unknown): void {
    const text = JSON.stringify(value);
    this.memory.set(name, text);
    try {
      globalThis[this.kind].setItem(PREFIX + name, text);
    } catch {
      // Blocked or full: the copy in memory lasts as long as the page.
    }
  }

  remove(name: string): void {
    this.memory.delete(name);
    try {
      globalThis[this.kind].removeItem(PREFIX + name);
    } catch {
      // Blocked: nothing was stored.
    }
  }
}

/** Shared by all tabs of a site (inside the panel's own frame, so that the page around it cannot read it). */
export const shared = new Shelf("localStorage");
/** Of this tab. */
const ofTab = new Shelf("sessionStorage");

export function loadSession(): KeptSession | null {
  const kept = shared.get("session") as KeptSession | null;
  const usable = typeof kept?.token === "string" && typeof kept.expires === "number" && kept.expires > Date.now() / 1000;
  return usable ? kept : null;
}

export function saveSession(session: KeptSession): void {
  shared.set("session", session);
}

export function forgetSession(): void {
  shared.remove("session");
}

/** Calls back when another tab gets, renews or drops the session. */
export function watchSession(changed: (session: KeptSession | null) => void): void {
  globalThis.addEventListener?.("storage", (event: StorageEvent) => {
    if (event.key === `${PREFIX}session`) {
      if (event.newValue === null) shared.remove("session");
      changed(loadSession());
    }
  });
}

export const unsentQuestions: Keep = {
  load: () => readMessages(ofTab.get("unsent")).filter((message): message is UserMessage => message.from === "user"),
  save: (messages) => (messages.length > 0 ? ofTab.set("unsent", messages) : ofTab.remove("unsent")),
};
