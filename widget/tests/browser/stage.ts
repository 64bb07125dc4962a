/** What the browser tests play on: the assistant really running, clinics' pages around it, and Debian's Chromium. */

import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Frame, type Locator, type Page } from "playwright-core";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const START_LIMIT = 180_000;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

/** The model that fits the project as it is; trained first, where there is none. */
function fittingModel(): string {
  const script = "import sys; from commands.train import trained_model; print(trained_model(), file=sys.__stdout__)";
  return execFileSync(join(ROOT, ".venv/bin/python"), ["-c", script], { cwd: ROOT, encoding: "utf8" }).trim().split("\n").at(-1) ?? "";
}

/** The assistant, as an operator runs it for clinics at these origins; its conversations go with it. */
export class AssistantServer {
  private process: ChildProcess | null = null;
  private readonly folder = mkdtempSync(join(tmpdir(), "assistant-"));
  private readonly model = fittingModel();
  private output = "";

  private constructor(readonly port: number) {}

  static async start(origins: string[]): Promise<AssistantServer> {
    const server = new AssistantServer(await freePort());
    const limits = "{messages_per_minute: 200, messages_per_minute_per_address: 2000, sessions_per_minute_per_address: 500, requests_per_minute_per_address: 5000}";
    writeFileSync(join(server.folder, "credentials.yml"), `addons.channels.web.WebChannel:\n  origins: ${JSON.stringify(origins)}\n  limits: ${limits}\n`);
    const endpoints = readFileSync(join(ROOT, "endpoints.yml"), "utf8")
      .replace(/^( +db:).*$/mu, `$1 ${join(server.folder, "conversations.db")}`)
      .replace(/^( +journal:).*$/mu, `$1 ${join(server.folder, "journal")}`);
    writeFileSync(join(server.folder, "endpoints.yml"), endpoints);
    await server.run();
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get base(): string {
    return `${this.origin}/webhooks/web/`;
  }

  /** Start it (again), with the conversations it had. */
  async run(): Promise<void> {
    const quiet = readFileSync(join(ROOT, "quiet.env"), "utf8").split("\n").filter((line) => line.includes("=") && !line.startsWith("#"));
    const files = ["--credentials", join(this.folder, "credentials.yml"), "--endpoints", join(this.folder, "endpoints.yml")];
    this.process = spawn(
      join(ROOT, ".venv/bin/python"),
      ["-m", "commands.quiet", "rasa", "run", "--model", this.model, ...files, "--interface", "127.0.0.1", "--port", String(this.port)],
      {
        cwd: ROOT,
        env: { ...process.env, ...Object.fromEntries(quiet.map((line) => line.split(/=(.*)/su))), WEB_SESSION_KEY: "5".repeat(64) },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.on("data", (data: Buffer) => (this.output += data.toString()));
    const ended = once(this.process, "exit").then(() => "ended");
    const deadline = Date.now() + START_LIMIT;
    while (Date.now() < deadline) {
      const ready = await fetch(new URL("readyz", this.base)).then((response) => response.ok, () => false);
      if (ready) return;
      const state = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 300))]);
      if (state === "ended") break;
    }
    throw new Error(`The assistant did not get ready.\n${this.output}`);
  }

  /** As a power cut ends it. */
  async kill(): Promise<void> {
    if (!this.process || this.process.exitCode !== null) return;
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A clinic's web server: pages by their path, with the headers they are given. */
export class ClinicSite {
  private readonly pages = new Map<string, { html: string; headers: Record<string, string> }>();
  private readonly server: Server;

  constructor(readonly port: number) {
    this.server = createHttpServer((request, response) => {
      const page = this.pages.get(request.url ?? "/");
      response.writeHead(page ? 200 : 404, { "Content-Type": "text/html; charset=utf-8", ...page?.headers });
      response.end(page?.html);
    }).listen(port, "127.0.0.1");
  }

  static async open(): Promise<ClinicSite> {
    return new ClinicSite(await freePort());
  }

  /** Another origin of the assistant's own site, as chat.clinic.example is to www.clinic.example. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The same pages from another site: there, Chromium denies frames their storage in a private window. */
  get distantOrigin(): string {
    return `http://localhost:${this.port}`;
  }

  /** Serve a page; returns its address. */
  page(path: string, body: string, headers: Record<string, string> = {}, attributes = ""): string {
    const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>A clinic</title>`;
    this.pages.set(path, { html: `<!doctype html><html lang="en" ${attributes}><head>${head}</head><body>${body}</body></html>`, headers });
    return this.origin + path;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

export interface Stage {
  browser: Browser;
  assistant: AssistantServer;
  clinic: ClinicSite;
  /** A site no `origins` names. */
  stranger: ClinicSite;
}

export async function setStage(): Promise<Stage> {
  assert.ok(existsSync(CHROMIUM), `There is no browser at ${CHROMIUM}. Install it (\`apt-get install chromium\`), or name another in CHROMIUM.`);
  const clinic = await ClinicSite.open();
  const stranger = await ClinicSite.open();
  const assistant = await AssistantServer.start([clinic.origin, clinic.distantOrigin]);
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
  return { browser, assistant, clinic, stranger };
}

export async function clearStage(stage: Stage): Promise<void> {
  await stage.browser.close();
  stage.clinic.close();
  stage.stranger.close();
  await stage.assistant.remove();
}

/** The usual page of a clinic. */
export const clinicPage = (stage: Stage, path = "/", more = ""): string =>
  stage.clinic.page(path, `<main><h1>A clinic</h1><p>About us. <a id="before" href="#before">Our doctors</a></p>${more}</main><script src="${stage.assistant.base}widget.js" async></script>`);

/** One visitor: a browser profile of their own. Faults of the pages are kept to be looked at. */
export class Visitor {
  readonly faults: string[] = [];
  readonly requests: string[] = [];

  private constructor(readonly context: BrowserContext) {}

  static async come(stage: Stage, options: BrowserContextOptions = {}): Promise<Visitor> {
    const visitor = new Visitor(await stage.browser.newContext({ viewport: { width: 1100, height: 800 }, ...options }));
    visitor.context.setDefaultTimeout(20_000);
    visitor.context.on("request", (request) => visitor.requests.push(request.url()));
    visitor.context.on("weberror", (error) => visitor.faults.push(String(error.error())));
    visitor.context.on("console", (message) => {
      if (message.type() === "error" && !/net::ERR_|status of (4|5)\d\d|WebSocket connection/u.test(message.text())) visitor.faults.push(message.text());
    });
    return visitor;
  }

  async visit(address: string): Promise<Chat> {
    const page = await this.context.newPage();
    await page.goto(address);
    return new Chat(page);
  }

  /** Leave; whatever the pages complained of fails the test. */
  async leave(): Promise<void> {
    await this.context.close();
    assert.deepEqual(this.faults, []);
  }
}

/** The chat on a page, by what a person sees of it. */
export class Chat {
  constructor(readonly page: Page) {}

  get launcher(): Locator {
    return this.page.locator("faq-assistant .launcher");
  }

  get inside(): ReturnType<Page["frameLocator"]> {
    return this.page.frameLocator("faq-assistant iframe");
  }

  get input(): Locator {
    return this.inside.getByLabel("Your question");
  }

  /** The line above the conversation that says how the connection is, or what has just been done. */
  get state(): Locator {
    return this.inside.locator(".state");
  }

  get replies(): Locator {
    return this.inside.locator('li[data-from="assistant"]');
  }

  get questions(): Locator {
    return this.inside.locator('li[data-from="user"]');
  }

  get choices(): Locator {
    return this.inside.locator(".choices .chip");
  }

  /** The panel's document, for scripts. */
  async frame(): Promise<Frame> {
    const handle = await this.page.locator("faq-assistant iframe").elementHandle();
    return (await handle?.contentFrame()) ?? assert.fail("the panel has no frame");
  }

  async open(): Promise<void> {
    await this.launcher.click();
    await this.inside.locator("#title").waitFor();
  }

  async accept(): Promise<void> {
    await this.inside.getByRole("button", { name: "I understand" }).click();
    await this.input.waitFor();
  }

  async begin(): Promise<void> {
    await this.open();
    await this.accept();
  }

  async type(text: string): Promise<void> {
    await this.input.fill(text);
    await this.input.press("Enter");
  }

  /** Ask, and wait for the answer. Returns the newest reply. */
  async ask(text: string): Promise<Locator> {
    const before = await this.replies.count();
    await this.type(text);
    await this.replies.nth(before).waitFor();
    return this.replies.last();
  }

  async option(name: string): Promise<void> {
    await this.inside.getByRole("button", { name: "Options" }).click();
    await this.inside.getByRole("button", { name }).click();
  }
}

/** No sockets: messages go by plain HTTP, where a test can answer in the assistant's place. */
export async function onlyHttp(context: BrowserContext): Promise<void> {
  await context.routeWebSocket(/socket\.io/u, (socket) => void socket.close());
  await context.route("**/socket.io/**", (route) => route.abort());
}

/** The text of the element that has the focus, across the frame and shadow roots. */
export async function focused(page: Page): Promise<string> {
  const find = (): string => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element ? `${element.tagName.toLowerCase()}:${element.getAttribute("aria-label") ?? element.id ?? ""}:${(element.textContent ?? "").trim().slice(0, 60)}` : "";
  };
  const outer = await page.evaluate(find);
  if (!outer.startsWith("iframe")) return outer;
  const handle = await page.locator("faq-assistant iframe").elementHandle();
  const frame = await handle?.contentFrame();
  return frame ? `panel ${await frame.evaluate(find)}` : outer;
}
