/** Takes the pictures of docs/images from the running assistant: `make pictures`. */

import { join } from "node:path";
import type { BrowserContextOptions } from "playwright-core";
import { Chat, clearStage, ROOT, setStage, Visitor, type Stage } from "./tests/browser/stage.ts";

const FOLDER = join(ROOT, "docs/images");
const DESKTOP: BrowserContextOptions = { viewport: { width: 1180, height: 900 } };
const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

async function take(stage: Stage, name: string, options: BrowserContextOptions, act: (chat: Chat) => Promise<unknown>): Promise<void> {
  const visitor = await Visitor.come(stage, { reducedMotion: "reduce", ...options });
  const chat = await visitor.visit(stage.assistant.base);
  await chat.begin();
  await act(chat);
  await chat.page.waitForTimeout(500);
  await chat.page.screenshot({ path: join(FOLDER, `widget-${name}.png`) });
  await visitor.leave();
}

const stage = await setStage();
try {
  await take(stage, "start", DESKTOP, async () => {});
  await take(stage, "desktop", DESKTOP, (chat) => chat.ask("does it get rid of belly fat"));
  await take(stage, "phone", PHONE, (chat) => chat.ask("does it hurt"));
  await take(stage, "dark", { ...DESKTOP, colorScheme: "dark" }, (chat) => chat.ask("how many sessions do i need for my hair"));
  await take(stage, "emergency", PHONE, (chat) => chat.ask("my lips are swelling and i cant breathe properly"));
} finally {
  await clearStage(stage);
}
