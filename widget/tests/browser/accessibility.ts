/** Every state of the chat for people who do not see, hear, point or remember as its makers do: WCAG 2.2 AA. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import type { BrowserContextOptions, Frame } from "playwright-core";
import { Chat, clinicPage, focused, onlyHttp, Visitor, type Stage } from "./stage.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ANSWERED = "does it get rid of belly fat";
const URGENT = "my lips are swelling and i cant breathe properly";
/** WCAG 2.2, 2.5.8. CSS pixels. */
const LEAST_TARGET = 24;

interface Look {
  name: string;
  options?: BrowserContextOptions;
  locale?: string;
}

const LOOKS: Look[] = [
  { name: "light" },
  { name: "dark", options: { colorScheme: "dark" } },
  { name: "forced colours", options: { forcedColors: "active" } },
  { name: "right to left", locale: "ar" },
  { name: "320 px wide", options: { viewport: { width: 320, height: 640 } } },
  { name: "400 % zoom", options: { viewport: { width: 320, height: 256 }, deviceScaleFactor: 4 } },
  { name: "phone", options: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } },
];

async function findings(frame: Frame, part = "html"): Promise<string[]> {
  await frame.evaluate(AXE);
  return frame.evaluate(async (part) => {
    const { axe } = window as unknown as { axe: { run(context: string, options: object): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> } };
    const { violations } = await axe.run(part, { iframes: false });
    return violations.flatMap((violation) => violation.nodes.map((node) => `${violation.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`));
  }, part);
}

/** What axe cannot see: no sideways scrolling, and targets large enough to hit. */
async function measured(frame: Frame): Promise<string[]> {
  return frame.evaluate((least) => {
    const root = document.querySelector("faq-panel")?.shadowRoot;
    const wide = document.scrollingElement && document.scrollingElement.scrollWidth > innerWidth + 1 ? [`scrolls sideways: ${document.scrollingElement.scrollWidth} of ${innerWidth}`] : [];
    const log = root?.querySelector(".log");
    if (log && log.scrollWidth > log.clientWidth + 1) wide.push(`the conversation scrolls sideways: ${log.scrollWidth} of ${log.clientWidth}`);
    // A link inside a sentence is as high as its line: 2.5.8 excepts it.
    const small = [...(root?.querySelectorAll("button, textarea, .call, .footer a") ?? [])].filter((element) => {
      const { width, height } = element.getBoundingClientRect();
      return width > 0 && (width < least || height < least);
    });
    return [...wide, ...small.map((element) => `smaller than ${least} px: ${element.outerHTML.slice(0, 100)}`)];
  }, LEAST_TARGET);
}

async function check(chat: Chat, state: string): Promise<void> {
  const frame = await chat.frame();
  // Colours in the middle of an animation are nobody's.
  await frame.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finish())));
  // Of the page around it only our part: what a full screen covers is inert, its headings too.
  const found = [...(await findings(frame)), ...(await measured(frame)), ...(await findings(chat.page.mainFrame(), "faq-assistant"))];
  assert.deepEqual(found, [], state);
}

/** English turned around: a right-to-left locale file. */
const RTL_WORDS = `export default { language: "ar", direction: "rtl", you_said: "\\u0642\\u0644\\u062a:" };`;

export function accessibilityTests(stage: () => Stage): void {
  for (const look of LOOKS) {
    test(`axe finds nothing in any state: ${look.name}`, { timeout: 180_000 }, async () => {
      const visitor = await Visitor.come(stage(), { bypassCSP: true, reducedMotion: "reduce", ...look.options });
      await onlyHttp(visitor.context);
      await visitor.context.route("**/locales/ar.js", (route) => route.fulfill({ contentType: "text/javascript", body: RTL_WORDS }));
      const page = clinicPage(stage(), `/look-${look.locale ?? "en"}`, look.locale ? `<faq-assistant locale="${look.locale}"></faq-assistant>` : "");
      const chat = await visitor.visit(page);
      await chat.launcher.waitFor();
      assert.deepEqual(await findings(chat.page.mainFrame()), [], "closed");
      await chat.open();
      await chat.inside.getByText("Before you start").waitFor();
      await check(chat, "consent");
      await chat.accept();
      await chat.choices.first().waitFor();
      await check(chat, "open, with starter questions");
      if (look.locale) assert.equal(await (await chat.frame()).evaluate(() => `${document.documentElement.dir} ${document.documentElement.lang}`), "rtl ar");

      let release = (): void => {};
      const held = new Promise<void>((resolve) => (release = resolve));
      await visitor.context.route("**/messages", async (route) => {
        await held;
        await route.continue();
      });
      await chat.type(ANSWERED);
      await chat.inside.getByText("Looking for an answer").waitFor();
      await check(chat, "typing");
      release();
      await chat.replies.first().waitFor();
      await visitor.context.unroute("**/messages");
      await check(chat, "answer");
      await chat.ask("qwertz uiop asdf");
      await chat.choices.first().waitFor();
      await check(chat, "quick replies");
      await chat.inside.getByRole("button", { name: "This answer did not help" }).first().click();
      await chat.inside.getByRole("button", { name: "Hard to understand" }).waitFor();
      await check(chat, "asking what was wrong");
      await chat.ask(URGENT);
      await check(chat, "emergency");
      await chat.inside.getByRole("button", { name: "Options" }).click();
      await check(chat, "options");
      await chat.inside.getByRole("button", { name: "Erase this conversation" }).click();
      await check(chat, "asked before erasing");
      await chat.inside.getByRole("button", { name: "Keep it" }).click();
      await chat.input.fill("a".repeat(1003));
      await check(chat, "too long");
      await visitor.context.route("**/messages", (route) => route.fulfill({ status: 500, json: { error: { code: "failed", message: "That did not work." } } }));
      await chat.type("does it hurt");
      await chat.inside.getByText("Not sent.").waitFor();
      await check(chat, "error");
      await chat.page.reload();
      await chat.inside.getByText("Not sent.").waitFor();
      await check(chat, "history");
      await visitor.context.setOffline(true);
      await chat.state.getByText("You are offline").waitFor();
      await check(chat, "offline");
      await visitor.leave();
    });
  }

  test("by keyboard alone from the page to an answer, through it, and back", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    const { page } = chat;
    await chat.launcher.waitFor();
    await page.keyboard.press("Tab");
    assert.match(await focused(page), /Our doctors/u);
    await page.keyboard.press("Tab");
    assert.match(await focused(page), /Ask a question/u);
    await page.keyboard.press("Enter");
    await chat.inside.getByText("Before you start").waitFor();
    await page.waitForTimeout(200);
    assert.match(await focused(page), /^panel h2:title/u);
    for (let step = 0; step < 6 && !(await focused(page)).includes("I understand"); step += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await chat.input.waitFor();
    await page.waitForTimeout(200);
    assert.match(await focused(page), /^panel textarea/u);
    await page.keyboard.type(ANSWERED);
    await page.keyboard.press("Enter");
    await chat.replies.first().waitFor();
    assert.match(await focused(page), /^panel textarea/u, "an answer does not move the focus");
    const seen: string[] = [];
    for (let step = 0; step < 25; step += 1) {
      await page.keyboard.press("Shift+Tab");
      seen.push(await focused(page));
      if (seen.at(-1)?.includes("Options")) break;
    }
    for (const wanted of [/This answer helped/u, /This answer did not help/u, /:Conversation:/u, /^panel a:/u, /Close the chat/u]) assert.ok(seen.some((place) => wanted.test(place)), `${wanted} in ${seen.join(" | ")}`);
    await page.keyboard.press("Enter");
    assert.match(await focused(page), /Copy the conversation/u);
    await page.keyboard.press("Escape");
    assert.match(await focused(page), /Options/u);
    await page.keyboard.press("Escape");
    await page.waitForTimeout(100);
    assert.match(await focused(page), /^button:Ask a question/u);
    assert.equal(await chat.page.locator("faq-assistant iframe").isVisible(), false);
    await page.keyboard.press("Shift+Tab");
    assert.match(await focused(page), /Our doctors/u);
    await visitor.leave();
  });

  test("Enter that ends the composing of a character does not send", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.input.fill("ka");
    await chat.input.evaluate((input) => input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, composed: true, cancelable: true })));
    assert.equal(await chat.questions.count(), 0);
    await chat.input.press("Shift+Enter");
    assert.equal(await chat.questions.count(), 0);
    assert.equal(await chat.input.inputValue(), "ka\n");
    await visitor.leave();
  });

  test("a turn is announced once, an emergency as an alert, and a reloaded conversation not at all", async () => {
    const visitor = await Visitor.come(stage());
    await visitor.context.addInitScript(() => {
      const page = window as unknown as { said: string[] };
      page.said = [];
      const watched = new Set<Element>();
      new MutationObserver(() => {
        for (const region of document.querySelectorAll("faq-panel > [slot=announcer]")) {
          if (watched.has(region)) continue;
          watched.add(region);
          const kind = region.getAttribute("role") ?? region.getAttribute("aria-live");
          new MutationObserver(() => region.textContent && page.said.push(`${kind ?? ""}: ${region.textContent}`)).observe(region, { childList: true, characterData: true, subtree: true });
        }
      }).observe(document, { childList: true, subtree: true });
    });
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    const said = async (): Promise<string[]> => {
      await chat.page.waitForTimeout(600);
      return (await chat.frame()).evaluate(() => (window as unknown as { said: string[] }).said.splice(0));
    };
    await said();
    await chat.ask("how much is it and does it hurt");
    const turn = await said();
    assert.equal(turn.length, 1, turn.join("\n"));
    assert.match(turn[0] ?? "", /^polite: Assistant said: .*Evidence: .*Sources: \d/su);
    await chat.ask(URGENT);
    const urgent = await said();
    assert.equal(urgent.length, 1, urgent.join("\n"));
    assert.match(urgent[0] ?? "", /^alert: This may be an emergency\. Call /u);
    await chat.page.reload();
    await chat.replies.nth(1).waitFor();
    assert.deepEqual(await said(), []);
    await visitor.leave();
  });

  test("with reduced motion nothing moves, and otherwise nothing for longer than five seconds", async () => {
    for (const reducedMotion of ["reduce", "no-preference"] as const) {
      const visitor = await Visitor.come(stage(), { reducedMotion });
      await onlyHttp(visitor.context);
      await visitor.context.route("**/messages", () => {});
      const chat = await visitor.visit(clinicPage(stage()));
      await chat.begin();
      await chat.type("does it hurt");
      await chat.inside.getByText("Looking for an answer").waitFor();
      const frame = await chat.frame();
      const times = await frame.evaluate(() => (document.querySelector("faq-panel")?.shadowRoot?.getAnimations() ?? document.getAnimations()).map((animation) => Number(animation.effect?.getComputedTiming().endTime)));
      if (reducedMotion === "reduce") assert.deepEqual(times, []);
      else assert.ok(times.length > 0 && times.every((time) => time <= 5_000), String(times));
      await visitor.leave();
    }
  });

  test("on a phone the chat covers the screen, the page behind is out of reach, and the keyboard leaves room", async () => {
    const visitor = await Visitor.come(stage(), { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    const frame = chat.page.locator("faq-assistant iframe");
    assert.deepEqual(await frame.boundingBox(), { x: 0, y: 0, width: 390, height: 844 });
    assert.equal(await chat.page.locator("main").evaluate((main) => (main as HTMLElement).inert), true);
    assert.equal(await chat.page.evaluate(() => getComputedStyle(document.documentElement).overflow), "hidden");
    assert.equal(await chat.inside.getByRole("dialog").getAttribute("aria-modal"), "true");
    await chat.page.setViewportSize({ width: 390, height: 480 });
    await chat.page.waitForTimeout(200);
    const input = await chat.input.boundingBox();
    assert.ok(input && input.y + input.height <= 480, JSON.stringify(input));
    await chat.inside.getByRole("button", { name: "Close the chat" }).click();
    // The frame tells the page that it closes, so the page behind comes back a moment after the click.
    await chat.page.waitForFunction(() => document.querySelector("main")?.inert === false);
    await chat.page.waitForFunction(() => getComputedStyle(document.documentElement).overflow === "visible");
    await visitor.leave();
  });

  test("printed, the conversation keeps its caveats and loses its buttons", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask(ANSWERED);
    await chat.page.emulateMedia({ media: "print" });
    const frame = await chat.frame();
    const shown = await frame.evaluate(() => {
      const root = document.querySelector("faq-panel")?.shadowRoot;
      return [".composer", ".tool", ".thumb", ".caveat", ".sources", ".body"].map((name) => {
        const element = root?.querySelector(name);
        return element ? getComputedStyle(element).display !== "none" : null;
      });
    });
    assert.deepEqual(shown, [false, false, false, true, true, true]);
    await visitor.leave();
  });
}
