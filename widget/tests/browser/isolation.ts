/** Who may talk to the assistant, who can read a conversation, and what a page's own rules allow. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { clinicPage, Visitor, type Stage } from "./stage.ts";

export function isolationTests(stage: () => Stage): void {
  test("another visitor cannot read the conversation, with no token, a made-up one or their own", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it hurt");
    const other = await Visitor.come(stage());
    const theirs = await other.visit(clinicPage(stage()));
    await theirs.begin();
    assert.equal(await theirs.questions.count(), 0);
    await theirs.ask("how much is it");
    const frame = await theirs.frame();
    const read = (token: string | null): Promise<[number, string]> =>
      frame.evaluate(async (given) => {
        const own = (JSON.parse(localStorage.getItem("faq-assistant:session") ?? "{}") as { token: string }).token;
        const [head, body, signature] = own.split(".") as [string, string, string];
        const claims = JSON.parse(atob(body)) as Record<string, unknown>;
        const forged = btoa(JSON.stringify({ ...claims, sub: `web:${"0".repeat(32)}` })).replace(/=+$/u, "");
        const token = given === "forged" ? `${head}.${forged}.${signature}` : given === "own" ? own : null;
        const response = await fetch("history", token ? { headers: { Authorization: `Bearer ${token}` } } : {});
        return [response.status, await response.text()] as [number, string];
      }, token);
    assert.equal((await read(null))[0], 401);
    assert.equal((await read("forged"))[0], 401);
    const [status, text] = await read("own");
    assert.equal(status, 200);
    assert.ok(!text.includes("hurt") && text.includes("how much is it"));
    await other.leave();
    await visitor.leave();
  });

  test("a website that is not allowed gets no session, no socket and no panel", async () => {
    const visitor = await Visitor.come(stage());
    const { assistant, stranger } = stage();
    const address = stranger.page("/", `<main><h1>Another site</h1></main><script src="${assistant.base}widget.js" async></script>`);
    const page = await visitor.context.newPage();
    await page.goto(address);
    const session = await page.evaluate(async (base) => fetch(`${base}session`, { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } }).then((response) => response.status, () => "refused"), assistant.base);
    assert.equal(session, "refused");
    const simple = await page.evaluate(async (base) => fetch(`${base}session`, { method: "POST", body: "{}", mode: "no-cors" }).then((response) => response.type, () => "refused"), assistant.base);
    assert.ok(simple === "opaque" || simple === "refused");
    const socket = await page.evaluate(
      (address) => new Promise<string>((resolve) => {
        const opened = new WebSocket(address);
        opened.onopen = () => resolve("open");
        opened.onerror = () => resolve("refused");
      }),
      `${assistant.base.replace("http", "ws")}socket.io/?EIO=4&transport=websocket`,
    );
    assert.equal(socket, "refused");
    await page.locator("faq-assistant .launcher").click();
    await page.waitForTimeout(1_000);
    const handle = await page.locator("faq-assistant iframe").elementHandle();
    const frame = await handle?.contentFrame();
    assert.equal(await frame?.locator("faq-panel").count(), 0);
    visitor.faults.length = 0; // The browser itself complains here of what was refused.
    await visitor.leave();
  });

  test("no request leaves the clinic's and the assistant's origins", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it get rid of belly fat");
    await chat.inside.getByRole("button", { name: "This answer helped" }).click();
    await chat.page.reload();
    await chat.replies.first().waitFor();
    const allowed = [stage().clinic.origin, stage().assistant.origin];
    assert.deepEqual(visitor.requests.filter((url) => !allowed.includes(new URL(url).origin) && !url.startsWith("data:")), []);
    assert.deepEqual(visitor.requests.filter((url) => url.includes("eyJ")), [], "no token in an address");
    await visitor.leave();
  });

  test("nothing but the button's script is fetched until somebody means to open the chat", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.launcher.waitFor();
    const names = (): string[] => visitor.requests.filter((url) => url.startsWith(stage().assistant.base)).map((url) => url.slice(stage().assistant.base.length)).sort();
    assert.deepEqual(names(), ["config.js", "widget.js"]);
    await chat.launcher.focus();
    await chat.page.waitForRequest(/panel\.js/u, { timeout: 5_000 }).catch(() => assert.ok(names().includes("panel.js")));
    await visitor.leave();
  });

  test("a page with the strictest policy shows the chat, in the clinic's colours, and reports no violation", async () => {
    const { assistant, clinic } = stage();
    const policy = `default-src 'none'; script-src ${assistant.origin}; frame-src ${assistant.origin}; base-uri 'none'; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'`;
    const address = clinic.page("/strict", `<main><h1>A clinic</h1></main><script src="${assistant.base}widget.js" async></script>`, { "Content-Security-Policy": policy });
    const visitor = await Visitor.come(stage());
    await visitor.context.addInitScript(() => {
      const page = window as unknown as { violations: string[] };
      page.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => page.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    const chat = await visitor.visit(address);
    await chat.begin();
    await chat.ask("does it hurt");
    const frame = await chat.frame();
    for (const place of [chat.page.mainFrame(), frame]) assert.deepEqual(await place.evaluate(() => (window as unknown as { violations: string[] }).violations), []);
    const configured = (await (await fetch(new URL("config.json", assistant.base))).json()) as { colours: { primary: string } };
    const shown = await chat.launcher.evaluate((button) => getComputedStyle(button).backgroundColor);
    const wanted = configured.colours.primary.match(/[0-9a-f]{2}/giu)?.map((part) => parseInt(part, 16)).join(", ");
    assert.equal(shown, `rgb(${wanted ?? ""})`);
    await visitor.leave();
  });

  test("a page with rough styles, a base address, two script tags and another direction does not break the chat", async () => {
    const { assistant, clinic } = stage();
    const rough = `<base href="https://elsewhere.example/"><style>* { box-sizing: content-box; letter-spacing: 3px; line-height: 3 } button, p, svg, textarea { display: none !important } div { position: static !important; opacity: .2 } iframe { width: 10px !important; height: 10px !important } .banner { position: fixed; z-index: 2147483000; inset: 0 0 auto 0; height: 40px; background: #fff }</style>`;
    const tag = `<script src="${assistant.base}widget.js" async></script>`;
    const address = clinic.page("/rough", `${rough}<div class="banner">Banner</div><main><h1>A clinic</h1></main>${tag}${tag}`, {}, 'dir="rtl"');
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(address);
    await chat.begin();
    await chat.ask("does it hurt");
    assert.equal(await chat.page.locator("faq-assistant").count(), 1);
    const box = await chat.page.locator("faq-assistant iframe").boundingBox();
    assert.ok(box && box.width > 300 && box.height > 400 && box.x < 100, JSON.stringify(box));
    await visitor.leave();
  });

  test("left open, the chat is open on the next page and leaves the focus with the page", async () => {
    const visitor = await Visitor.come(stage());
    const chat = await visitor.visit(clinicPage(stage()));
    await chat.begin();
    await chat.ask("does it hurt");
    await chat.page.goto(clinicPage(stage(), "/next"));
    await chat.replies.first().waitFor();
    assert.equal(await chat.page.evaluate(() => document.activeElement?.tagName), "BODY");
    await visitor.leave();
  });
}
