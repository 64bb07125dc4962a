/** From the first visit to the answer, and everything that may come between. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { clinicPage, onlyHttp, Visitor, type Stage } from "./stage.ts";

const reply = (fields: Record<string, unknown>): Record<string, unknown> => ({
  id: `reply-${Math.random()}`, from: "assistant", text: "Text.", body: "Text.", caveat: null, evidence: null, sources: [], sources_line: null, next: [], safety: null, call: [], language: "en", time: Date.now() / 1000, feedback: null, ...fields,
});

export function journeyTests(stage: () => Stage): void {
  test("a first visit leads to an answer with its evidence, sources and next questions", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    const answer = await chat.ask("does it get rid of belly fat");
    await answer.locator(".body").getByText("not been shown").waitFor();
    assert.match(await answer.locator(".caveat").innerText(), /^Evidence: /u);
    assert.ok(await answer.locator(".caveat").isVisible());
    const links = await answer.locator(".sources a").evaluateAll((all) => all.map((link) => [link.getAttribute("href"), link.getAttribute("target"), link.getAttribute("rel")]));
    assert.ok(links.length > 0);
    for (const [address, target, rel] of links) {
      assert.match(address ?? "", /^https:/u);
      assert.deepEqual([target, rel], ["_blank", "noopener noreferrer"]);
    }
    await visitor.leave();
  });

  test("the demo page of a fresh install has the chat", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(stage().assistant.base);
    await chat.begin();
    await chat.ask("what is it");
    await visitor.leave();
  });

  test("nothing is sent before the consent, and it is asked for once", async () => {
    const visitor = await Visitor.come(stage());
    const address = clinicPage(stage());
    const chat = await visitor.visit(address);
    await chat.open();
    await chat.inside.getByText("Before you start").waitFor();
    assert.equal(await chat.input.count(), 0);
    assert.equal(await chat.choices.count(), 0);
    assert.deepEqual(visitor.requests.filter((url) => /session|messages|history|socket\.io/u.test(url)), []);
    await chat.accept();
    await chat.page.reload();
    await chat.input.waitFor();
    assert.equal(await chat.inside.getByText("Before you start").count(), 0);
    await visitor.leave();
  });

  test("starter questions are asked by a click, and quick replies stay until one is", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    const starter = await chat.choices.first().innerText();
    await chat.choices.first().click();
    await chat.replies.first().waitFor();
    assert.match(await chat.questions.first().innerText(), new RegExp(starter.replace(/[?]/gu, "\\?"), "u"));
    await chat.ask("qwertz uiop asdf");
    await chat.choices.first().waitFor();
    const offered = await chat.choices.allInnerTexts();
    await chat.page.reload();
    await chat.choices.first().waitFor();
    assert.deepEqual(await chat.choices.allInnerTexts(), offered);
    const before = await chat.replies.count();
    await chat.choices.first().click();
    await chat.replies.nth(before).waitFor();
    assert.match(await chat.questions.last().innerText(), new RegExp((offered[0] ?? "").replace(/[?]/gu, "\\?"), "u"));
    await visitor.leave();
  });

  test("a reload, another page and a second tab see the same conversation", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it hurt");
    const said = await chat.inside.locator(".messages .body").allInnerTexts();
    await chat.page.reload();
    await chat.replies.first().waitFor();
    assert.deepEqual(await chat.inside.locator(".messages .body").allInnerTexts(), said);
    await chat.page.goto(clinicPage(stage(), "/prices"));
    await chat.replies.first().waitFor();
    const second = await visitor.visit(clinicPage(stage()));
    await second.open();
    await second.replies.first().waitFor();
    assert.deepEqual(await second.inside.locator(".messages .body").allInnerTexts(), said);
    await second.ask("how much is it");
    await chat.replies.nth(1).waitFor();
    assert.equal(await chat.questions.count(), 2);
    await visitor.leave();
  });

  test("a server killed and started again in the middle of a chat loses nothing and asks nothing twice", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it hurt");
    await stage().assistant.kill();
    await chat.state.getByText("The connection is lost").waitFor();
    await chat.type("how long does the swelling last");
    await chat.inside.getByText("Waiting for the connection").waitFor();
    await chat.type("how much is it");
    assert.equal(await chat.replies.count(), 1);
    await stage().assistant.run();
    await chat.replies.nth(2).waitFor({ timeout: 60_000 });
    await chat.inside.locator(".state[data-kind=trouble]").waitFor({ state: "detached" });
    const frame = await chat.frame();
    const texts = await frame.evaluate(async () => {
      const { token } = JSON.parse(localStorage.getItem("faq-assistant:session") ?? "{}") as { token: string };
      const response = await fetch("history", { headers: { Authorization: `Bearer ${token}` } });
      const { messages } = (await response.json()) as { messages: { from: string; text: string }[] };
      return messages.filter((message) => message.from === "user").map((message) => message.text);
    });
    assert.deepEqual(texts, ["does it hurt", "how long does the swelling last", "how much is it"]);
    assert.equal(await chat.questions.count(), 3);
    await visitor.leave();
  });

  test("a question asked without a network waits in words, survives a reload and is answered once", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("what is it");
    await onlyHttp(visitor.context);
    await visitor.context.route("**/{messages,history}", (route) => route.abort());
    await chat.page.reload();
    await chat.input.waitFor();
    await chat.type("does it hurt");
    await chat.state.getByText("The connection is lost").waitFor();
    await chat.page.reload();
    await chat.inside.getByText("Waiting for the connection").waitFor();
    assert.match(await chat.questions.last().innerText(), /does it hurt/u);
    await visitor.context.unroute("**/{messages,history}");
    await chat.inside.getByRole("button", { name: "Try now" }).click();
    await chat.replies.nth(1).waitFor();
    assert.equal(await chat.questions.count(), 2);
    await visitor.leave();
  });

  test("the device going offline is said, and being back too", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("what is it");
    await visitor.context.setOffline(true);
    await chat.state.getByText("You are offline").waitFor();
    await visitor.context.setOffline(false);
    await chat.ask("does it hurt");
    assert.equal(await chat.state.getByText("You are offline").count(), 0);
    await visitor.leave();
  });

  test("without sockets the chat goes by plain HTTP", async () => {
    const visitor = await Visitor.come(stage());
    await onlyHttp(visitor.context);
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it hurt");
    await chat.ask("is it safe");
    assert.ok(visitor.requests.some((url) => url.endsWith("/messages")));
    await visitor.leave();
  });

  test("a question that fails says why, and is tried again by a button", async () => {
    const visitor = await Visitor.come(stage());
    await onlyHttp(visitor.context);
    const error = { error: { code: "failed", message: "That did not work." } };
    await visitor.context.route("**/messages", (route) => route.fulfill({ status: 500, json: error }));
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.type("does it hurt");
    await chat.inside.getByText("Not sent. That did not work.").waitFor();
    await visitor.context.unroute("**/messages");
    await chat.inside.getByRole("button", { name: "Try again" }).click();
    await chat.replies.first().waitFor();
    assert.equal(await chat.inside.getByText("Not sent.").count(), 0);
    await visitor.leave();
  });

  test("too many questions are slowed down in words and go on by themselves", async () => {
    const visitor = await Visitor.come(stage());
    await onlyHttp(visitor.context);
    let refused = false;
    await visitor.context.route("**/messages", (route) => {
      if (refused) return route.continue();
      refused = true;
      return route.fulfill({ status: 429, json: { error: { code: "too_many", message: "Slow down.", retry_after: 2 } } });
    });
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.type("does it hurt");
    await chat.state.getByText("will be sent in").waitFor();
    await chat.replies.first().waitFor();
    await visitor.leave();
  });

  test("a session the server no longer knows is replaced, and the question is answered", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("what is it");
    const frame = await chat.frame();
    await frame.evaluate(() => {
      const session = JSON.parse(localStorage.getItem("faq-assistant:session") ?? "{}") as { token: string };
      localStorage.setItem("faq-assistant:session", JSON.stringify({ ...session, token: session.token.slice(0, -6) + "xxxxxx" }));
    });
    await chat.page.reload();
    await chat.state.getByText("has ended").waitFor();
    await chat.ask("does it hurt");
    assert.equal(await chat.replies.count(), 1);
    await visitor.leave();
  });

  test("an emergency stands out and its number can be tapped", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    const answer = await chat.ask("my lips are swelling and i cant breathe properly");
    await answer.getByText("This may be an emergency").waitFor();
    const numbers = await answer.locator(".call").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    assert.deepEqual(numbers, ["tel:112", "tel:911", "tel:999"]);
    const alert = chat.inside.locator('[role="alert"]');
    await alert.getByText("This may be an emergency").waitFor({ state: "attached" });
    await visitor.leave();
  });

  test("a rating with its reason is kept, and can be taken back", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it hurt");
    const down = chat.inside.getByRole("button", { name: "This answer did not help" });
    await down.click();
    await chat.inside.getByRole("button", { name: "Hard to understand" }).click();
    await chat.state.getByText("Thank you for telling us.").waitFor();
    assert.equal(await chat.inside.getByRole("button", { name: "Hard to understand" }).count(), 0);
    await chat.page.reload();
    await chat.replies.first().waitFor();
    assert.equal(await down.getAttribute("aria-pressed"), "true");
    await down.click();
    assert.equal(await down.getAttribute("aria-pressed"), "false");
    await visitor.leave();
  });

  test("the conversation can be copied and downloaded, caveat and addresses of sources included", async () => {
    const visitor = await Visitor.come(stage(), { permissions: ["clipboard-read", "clipboard-write"] });
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it get rid of belly fat");
    await chat.option("Copy the conversation");
    await chat.state.getByText("The conversation is copied.").waitFor();
    await chat.inside.getByRole("button", { name: "Options" }).click();
    const [download] = await Promise.all([chat.page.waitForEvent("download"), chat.inside.getByRole("button", { name: "Download the conversation" }).click()]);
    const text = await readFile((await download.path()) ?? "", "utf8");
    assert.match(text, /does it get rid of belly fat/u);
    assert.match(text, /Evidence: /u);
    assert.match(text, /- .+: https:/u);
    await visitor.leave();
  });

  test("an erased conversation is gone here, in the other tab and on the server", async () => {
    const visitor = await Visitor.come(stage());
    const address = clinicPage(stage());
    const chat = await visitor.visit(address);
    await chat.begin();
    await chat.ask("does it hurt");
    const second = await visitor.visit(address);
    await second.open();
    await second.replies.first().waitFor();
    const frame = await chat.frame();
    const token = await frame.evaluate(() => (JSON.parse(localStorage.getItem("faq-assistant:session") ?? "{}") as { token: string }).token);
    await chat.option("Erase this conversation");
    await chat.inside.getByRole("button", { name: "Keep it" }).click();
    assert.equal(await chat.replies.count(), 1);
    await chat.option("Erase this conversation");
    await chat.inside.getByRole("button", { name: "Erase", exact: true }).click();
    await chat.state.getByText("The conversation is erased.").waitFor();
    for (const tab of [chat, second]) await tab.replies.first().waitFor({ state: "detached" });
    const history = await fetch(new URL("history", stage().assistant.base), { headers: { Authorization: `Bearer ${token}` } });
    assert.deepEqual(await history.json(), { messages: [] });
    await chat.ask("how much is it");
    await visitor.leave();
  });

  test("a new conversation leaves the old one behind", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it hurt");
    await chat.option("Start a new conversation");
    await chat.inside.getByRole("button", { name: "Start new" }).click();
    await chat.replies.first().waitFor({ state: "detached" });
    await chat.ask("how much is it");
    await chat.page.reload();
    await chat.replies.first().waitFor();
    assert.equal(await chat.questions.count(), 1);
    await visitor.leave();
  });

  test("a too long question is counted, refused in words, and sent once it is short enough", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.input.fill("a".repeat(900));
    await chat.inside.locator("#count").getByText("100 characters left").waitFor();
    await chat.input.fill("a".repeat(1003));
    await chat.inside.locator("#count").getByText("3 characters too long").waitFor();
    await chat.input.press("Enter");
    assert.equal(await chat.questions.count(), 0);
    assert.equal(await chat.input.getAttribute("aria-invalid"), "true");
    await chat.ask("does it hurt");
    await visitor.leave();
  });

  test("an answer that comes while the chat is closed is counted on the button", async () => {
    const visitor = await Visitor.come(stage());
    await onlyHttp(visitor.context);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    await visitor.context.route("**/messages", async (route) => {
      await held;
      await route.continue();
    });
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.type("does it hurt");
    await chat.inside.getByText("Looking for an answer").waitFor();
    await chat.inside.getByRole("button", { name: "Close the chat" }).click();
    release();
    await chat.page.locator("faq-assistant .badge").getByText("1").waitFor();
    assert.match((await chat.launcher.getAttribute("aria-label")) ?? "", /1 new answer/u);
    await chat.launcher.click();
    await chat.page.locator("faq-assistant .badge").waitFor({ state: "detached" });
    await visitor.leave();
  });

  test("the page's script can open, ask and listen, and hears no word of the conversation", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.launcher.waitFor();
    await chat.page.evaluate(() => {
      const page = window as unknown as { heard: unknown[]; faqAssistant: { on(name: string, listener: (detail: unknown) => void): void; send(text: string): void } };
      page.heard = [];
      for (const name of ["ready", "open", "close", "message", "unread"]) page.faqAssistant.on(name, (detail) => page.heard.push([name, detail]));
      window.addEventListener("message", (event) => page.heard.push(["posted", event.data]));
      page.faqAssistant.send("does it hurt");
    });
    await chat.accept();
    await chat.replies.first().waitFor();
    await chat.page.evaluate(() => (window as unknown as { faqAssistant: { close(): void } }).faqAssistant.close());
    const heard = JSON.stringify(await chat.page.evaluate(() => (window as unknown as { heard: unknown[] }).heard));
    for (const name of ["open", "ready", "message", "close"]) assert.ok(heard.includes(`"${name}"`), `${name} in ${heard}`);
    assert.ok(!/hurt|prick|Evidence/u.test(heard), heard);
    const stored = await chat.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.ok(!/token|eyJ|web:/u.test(stored), stored);
    await visitor.leave();
  });

  test("a page sets the button's words, side and colours, and a teaser that shows once and takes no focus", async () => {
    const { assistant, clinic } = stage();
    const attributes = `data-position="bottom-left" data-primary="#ffff00" data-on-primary="#ffffff" data-launcher="Ask us" data-teaser="Any questions?"`;
    const address = clinic.page("/attributes", `<main><h1>A clinic</h1></main><script src="${assistant.base}widget.js" ${attributes} async></script>`);
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(address);
    await chat.page.getByText("Any questions?").waitFor();
    assert.equal(await chat.page.evaluate(() => document.activeElement?.tagName), "BODY");
    assert.equal(await chat.launcher.getAttribute("aria-label"), "Ask us");
    const box = await chat.launcher.boundingBox();
    assert.ok(box && box.x < 100, JSON.stringify(box));
    assert.deepEqual(await chat.launcher.evaluate((button) => [getComputedStyle(button).backgroundColor, getComputedStyle(button).color]), ["rgb(255, 255, 0)", "rgb(0, 0, 0)"]);
    await chat.page.getByRole("button", { name: "Dismiss" }).click();
    await chat.page.reload();
    await chat.launcher.waitFor();
    assert.equal(await chat.page.getByText("Any questions?").count(), 0);
    await visitor.leave();
  });

  test("a page of the assistant's own site can show the chat without a frame", async () => {
    const visitor = await Visitor.come(stage());
    const address = `${stage().assistant.base}inline`;
    await visitor.context.route(address, (route) =>
      route.fulfill({ contentType: "text/html", body: `<!doctype html><html lang="en"><title>Own page</title><main><h1>Ask us</h1><faq-assistant inline></faq-assistant></main><script src="widget.js"></script></html>` }));
    const page = await visitor.context.newPage();
    await page.goto(address);
    await page.getByRole("button", { name: "I understand" }).click();
    await page.getByLabel("Your question").fill("does it hurt");
    await page.getByLabel("Your question").press("Enter");
    await page.locator("faq-panel .caveat").waitFor();
    assert.equal(await page.locator("iframe").count(), 0);
    assert.equal(await page.getByRole("region", { name: "Questions about mesotherapy" }).count(), 1);
    await visitor.leave();
  });

  test("where the browser denies the frame its storage, the chat lasts as long as the page", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()).replace(stage().clinic.origin, stage().clinic.distantOrigin));
    await chat.begin();
    assert.equal(await (await chat.frame()).evaluate(() => { try { return typeof localStorage; } catch { return "denied"; } }), "denied");
    await chat.ask("does it hurt");
    await chat.ask("is it safe");
    await visitor.leave();
  });

  test("script in every text stays text", async () => {
    const hostile = `<img src=x onerror="window.hit=1"><script>window.hit=1</script><svg/onload=window.hit=1>"'>{{7*7}}`;
    const bad = "javascript:window.hit=1";
    const visitor = await Visitor.come(stage());
    await onlyHttp(visitor.context);
    await visitor.context.route("**/config.json", async (route) => {
      const config = (await (await route.fetch()).json()) as Record<string, unknown>;
      await route.fulfill({ json: { ...config, title: hostile, subtitle: hostile, welcome: hostile, starters: [hostile], privacy_link: bad, answers_link: bad, consent: { text: hostile, accept: "I understand" }, colours: { primary: "red;}</style><script>window.hit=1</script>" }, calls: [hostile] } });
    });
    const answers = [
      { json: { id: "x", replies: [reply({ text: hostile, body: `${hostile}\n[x](${bad}) **${hostile}**`, caveat: `Evidence: low. ${hostile}`, evidence: "low", sources: [{ label: hostile, url: bad, kind: "x" }], sources_line: `Sources: ${hostile}.`, next: [{ title: hostile }], safety: "emergency", call: [hostile] })], repeated: false } },
      { status: 400, json: { error: { code: "bad_text", message: hostile } } },
    ];
    await visitor.context.route("**/messages", (route) => route.fulfill(answers.shift() ?? { status: 500 }));
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.type(hostile);
    await chat.replies.first().waitFor();
    await chat.type(hostile);
    await chat.inside.getByText("Not sent.").waitFor();
    await chat.page.waitForTimeout(300);
    const frame = await chat.frame();
    const found = await frame.evaluate(() => {
      const root = document.querySelector("faq-panel")?.shadowRoot;
      const all = [...(root?.querySelectorAll("*") ?? []), ...document.body.querySelectorAll("*")];
      return {
        hit: (window as unknown as { hit?: number }).hit ?? null,
        elements: all.filter((element) => /^(img|script|iframe|object|embed)$/iu.test(element.tagName)).length,
        handlers: all.filter((element) => [...element.attributes].some((attribute) => attribute.name.startsWith("on"))).length,
        links: [...(root?.querySelectorAll("a") ?? [])].map((link) => link.protocol).filter((protocol) => !/^(https|mailto|tel):$/u.test(protocol)),
        text: root?.querySelector(".bubble")?.textContent ?? "",
      };
    });
    assert.deepEqual({ ...found, text: found.text.includes(hostile) }, { hit: null, elements: 0, handlers: 0, links: [], text: true });
    await visitor.leave();
  });

  test("a patient's own script stays text, also when it comes back from the server", async () => {
    const hostile = `<img src=x onerror="window.hit=1"> <b>does it hurt</b>`;
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask(hostile);
    await chat.page.reload();
    await chat.questions.first().waitFor();
    assert.match(await chat.questions.first().innerText(), /<img src=x onerror/u);
    assert.equal(await (await chat.frame()).evaluate(() => (window as unknown as { hit?: number }).hit ?? null), null);
    await visitor.leave();
  });
}
