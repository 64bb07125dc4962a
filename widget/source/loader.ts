/**
 * `widget.js`, the one script a page includes: a button, and behind it the panel in a frame of our own origin.
 *
 * It is fetched on every page view, so it has no dependency; the panel is fetched when somebody means to open it.
 */

import { contrast, SHAPE_CONTRAST, standOut, WHITE, writeColour } from "./contrast.ts";
import { CLOSE, SPEECH } from "./icons.ts";
import styles from "./launcher.css";
import { launcher_close, launcher_open, launcher_unread_many, launcher_unread_one, teaser_dismiss, title as defaultTitle } from "../locales/en.json";
import { launcherColours } from "./theme.ts";

const script = document.currentScript as HTMLScriptElement | null;
const BASE = new URL(".", script?.src ?? document.baseURI);
const TAG = "faq-assistant";
const FULL_SCREEN = "(max-width: 32rem), (max-height: 30rem)";
const OPEN_KEY = "faq-assistant:open";
const TEASER_KEY = "faq-assistant:teaser";

/** The part of the channel's settings that concerns the button. */
interface Settings {
  title?: string;
  position?: string;
  locale?: string;
  colours?: Record<string, string>;
  launcher?: string;
  teaser?: string;
}

/** The few words of the locale file that the button needs: only they come into this bundle. */
const ENGLISH = { launcher_close, launcher_open, launcher_unread_many, launcher_unread_one, teaser_dismiss, title: defaultTitle };

type Command = Record<string, unknown> & { faqAssistant: string };

/** A flag of this tab; nothing when storage is blocked. */
function flag(name: string, value?: string): string | null {
  try {
    if (value !== undefined) sessionStorage.setItem(name, value);
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

function make<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Record<string, string> = {}, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function drawing(path: string): SVGElement {
  const [svg, line] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag)) as [SVGElement, SVGElement];
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

class FaqAssistant extends HTMLElement {
  private readonly root = this.attachShadow({ mode: "open" });
  private readonly fullScreen = matchMedia(FULL_SCREEN);
  private settings: Settings = {};
  private words = ENGLISH;
  private launcher = make("button", { type: "button", class: "launcher", "aria-expanded": "false", "aria-controls": "frame" });
  private readonly box = make("div", { id: "frame", class: "frame", hidden: "" });
  private frame: HTMLIFrameElement | null = null;
  /** The panel itself, where it is shown inline. */
  private panel: (HTMLElement & { send(text: string): void; setLocale(locale: string): Promise<void> }) | null = null;
  private isReady = false;
  private isOpen = false;
  private unread = 0;
  private waiting: Command[] = [];
  private inerted: Element[] = [];
  private readonly lock = new CSSStyleSheet();
  private started = false;

  /** Show the chat. The focus goes into it, unless the page asked to leave it where it is. */
  open(options: { focus?: boolean } = {}): void {
    if (this.isOpen || this.inline) return;
    this.isOpen = true;
    flag(OPEN_KEY, "yes");
    this.load();
    this.show();
    this.unread = 0;
    this.draw();
    const focus = options.focus !== false;
    if (focus) this.frame?.focus();
    this.tell({ faqAssistant: "open", modal: this.fullScreen.matches, focus });
    this.announce("open");
  }

  /** Hide the chat and give the focus back to the button. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    flag(OPEN_KEY, "");
    this.show();
    this.tell({ faqAssistant: "closed" });
    this.draw();
    this.launcher.focus();
    this.announce("close");
  }

  toggle(): void {
    if (this.isOpen) this.close();
    else this.open();
  }

  /** Ask a question for the person, as a "How long does it take?" link of the page may. */
  send(text: string): void {
    this.open();
    this.load();
    this.tell({ faqAssistant: "send", text: String(text) });
  }

  setLocale(locale: string): void {
    this.setAttribute("locale", String(locale));
    if (this.isReady) this.tell({ faqAssistant: "locale", locale });
    void this.readWords(locale).then(() => this.draw());
  }

  private async readWords(locale: string): Promise<void> {
    this.words = /^[a-z]{2,3}\b/iu.test(locale) && !/^en\b/iu.test(locale)
      ? await import(new URL(`locales/${locale.toLowerCase().split("-")[0]}.js`, BASE).href).then(
          (module: { default?: Partial<typeof ENGLISH> }) => ({ ...ENGLISH, ...module.default }),
          () => ENGLISH,
        )
      : ENGLISH;
  }

  /** Listen to `ready`, `open`, `close`, `unread` or `message`; returns what stops it. No event carries a word of the conversation. */
  on(name: string, listener: (detail: unknown) => void): () => void {
    const heard = (event: Event): void => listener((event as CustomEvent<unknown>).detail);
    this.addEventListener(`${TAG}:${name}`, heard);
    return () => this.removeEventListener(`${TAG}:${name}`, heard);
  }

  private get inline(): boolean {
    return this.hasAttribute("inline");
  }

  connectedCallback(): void {
    if (this.started) return;
    this.started = true;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    this.lock.replaceSync("html { overflow: hidden !important }");
    this.root.adoptedStyleSheets = [sheet];
    void this.start();
  }

  private async start(): Promise<void> {
    if (this.inline) {
      await this.showInline();
      return;
    }
    // A module, because a host's policy that allows our script then needs no `connect-src` for our settings.
    const fetched = await import(new URL("config.js", BASE).href).then(
      (module: { default?: Settings }) => module.default ?? {},
      () => ({}) as Settings,
    );
    const own = Object.fromEntries(Object.entries({ ...script?.dataset, ...this.dataset }).filter(([, value]) => value !== undefined));
    const colours = { ...fetched.colours, ...(own["primary"] ? { primary: own["primary"] } : {}), ...(own["onPrimary"] ? { on_primary: own["onPrimary"] } : {}) };
    this.settings = { ...fetched, ...own, colours };
    if (own["locale"] && !this.hasAttribute("locale")) this.setAttribute("locale", own["locale"]);
    await this.readWords(this.getAttribute("locale") ?? fetched.locale ?? "en");
    this.setAttribute("position", this.settings.position?.endsWith("left") ? "left" : "right");
    const { primary, onPrimary } = launcherColours(colours);
    const edge = contrast(primary, WHITE) >= SHAPE_CONTRAST ? primary : standOut(primary, WHITE, SHAPE_CONTRAST);
    for (const [name, colour] of Object.entries({ primary, "on-primary": onPrimary, edge })) this.style.setProperty(`--${name}`, writeColour(colour));

    this.launcher.addEventListener("click", () => this.toggle());
    for (const intent of ["pointerenter", "focus", "touchstart"]) this.launcher.addEventListener(intent, () => this.load(), { passive: true });
    this.box.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    window.addEventListener("message", (event) => this.hear(event));
    this.fullScreen.addEventListener("change", () => this.isOpen && this.show());
    for (const change of ["resize", "scroll"]) visualViewport?.addEventListener(change, () => this.fitView());
    this.root.append(this.box, this.launcher);
    this.draw();
    // On the next page of the site the chat is as it was left; the focus stays with the page.
    if (flag(OPEN_KEY)) this.open({ focus: false });
    else if (this.settings.teaser && !flag(TEASER_KEY)) this.tease(this.settings.teaser);
  }

  /** Fetch the panel; nothing is sent to the assistant by it. */
  private load(): void {
    if (this.frame || this.inline) return;
    this.frame = make("iframe", { title: this.settings.title || this.words.title, allow: "clipboard-write", src: new URL("panel.html", BASE).href });
    this.box.append(this.frame);
  }

  private async showInline(): Promise<void> {
    await import(new URL("panel.js", BASE).href);
    this.panel = make("faq-panel" as "div", { inline: "" }) as unknown as typeof this.panel;
    const panel = this.panel;
    if (!panel) return;
    if (this.hasAttribute("locale")) panel.setAttribute("locale", this.getAttribute("locale") ?? "");
    panel.addEventListener("panel-ready", () => this.becomeReady(), { once: true });
    panel.addEventListener("panel-said", (event) => this.announce("message", (event as CustomEvent<unknown>).detail));
    // In the light DOM: its live regions must not stand in two shadow roots.
    this.root.append(make("slot"));
    this.append(panel);
  }

  private becomeReady(): void {
    this.isReady = true;
    for (const command of this.waiting.splice(0)) this.tell(command);
    this.announce("ready");
  }

  private tell(command: Command): void {
    if (!this.isReady) this.waiting.push(command);
    else if (this.frame) this.frame.contentWindow?.postMessage(command, BASE.origin);
    else if (command.faqAssistant === "send") this.panel?.send(String(command["text"]));
    else if (command.faqAssistant === "locale") void this.panel?.setLocale(String(command["locale"]));
  }

  private hear(event: MessageEvent<unknown>): void {
    if (event.origin !== BASE.origin || !this.frame || event.source !== this.frame.contentWindow) return;
    const message = event.data as { faqAssistant?: string; count?: number; from?: string } | null;
    if (message?.faqAssistant === "ready") {
      // The first command tells the panel who frames it; a panel that is ready after all of them starts in their order.
      const locale = this.getAttribute("locale");
      this.waiting.unshift({ faqAssistant: "hello" }, ...(locale ? [{ faqAssistant: "locale", locale }] : []));
      this.becomeReady();
    }
    if (message?.faqAssistant === "close") this.close();
    if (message?.faqAssistant === "said") this.announce("message", { from: message.from });
    if (message?.faqAssistant === "unread") {
      this.unread = Number(message.count) || 0;
      this.draw();
      this.announce("unread", { count: this.unread });
    }
  }

  private announce(name: string, detail: unknown = {}): void {
    this.dispatchEvent(new CustomEvent(`${TAG}:${name}`, { detail, bubbles: true, composed: true }));
  }

  private draw(): void {
    const { words } = this;
    const label = this.isOpen ? words.launcher_close : this.settings.launcher || words.launcher_open;
    const count = this.unread === 1 ? words.launcher_unread_one : words.launcher_unread_many.replace("{count}", String(this.unread));
    this.launcher.setAttribute("aria-expanded", String(this.isOpen));
    this.launcher.setAttribute("aria-label", this.unread > 0 ? `${label}, ${count}` : label);
    this.launcher.replaceChildren(drawing(this.isOpen ? CLOSE : SPEECH), make("span", { class: "label" }, label));
    if (this.unread > 0) this.launcher.append(make("span", { class: "badge", "aria-hidden": "true" }, String(this.unread)));
    this.toggleAttribute("open", this.isOpen);
  }

  private show(): void {
    this.box.hidden = !this.isOpen;
    this.root.querySelector(".teaser")?.remove();
    const covers = this.isOpen && this.fullScreen.matches;
    // A full screen is a modal dialog: what is behind it can neither be reached nor scrolled.
    const sheets = document.adoptedStyleSheets.filter((sheet) => sheet !== this.lock);
    document.adoptedStyleSheets = covers ? [...sheets, this.lock] : sheets;
    for (const element of this.inerted.splice(0)) element.removeAttribute("inert");
    if (!covers) return;
    for (let own: Element = this; own.parentElement && own !== document.body; own = own.parentElement) {
      this.inerted.push(...[...own.parentElement.children].filter((other) => other !== own && !other.hasAttribute("inert")));
    }
    for (const element of this.inerted) element.setAttribute("inert", "");
    this.fitView();
  }

  /** What a phone's keyboard leaves of the screen. */
  private fitView(): void {
    if (!this.isOpen || !visualViewport) return;
    this.box.style.setProperty("--view-height", `${visualViewport.height}px`);
    this.box.style.setProperty("--view-top", `${visualViewport.offsetTop}px`);
  }

  /** One line above the button, once a session, only where a clinic sets it. It takes no focus. */
  private tease(text: string): void {
    const dismiss = make("button", { type: "button", "aria-label": this.words.teaser_dismiss }, drawing(CLOSE));
    const teaser = make("div", { class: "teaser" }, make("p", {}, text), dismiss);
    const leave = (): void => {
      flag(TEASER_KEY, "seen");
      teaser.remove();
    };
    dismiss.addEventListener("click", leave);
    teaser.addEventListener("keydown", (event) => event.key === "Escape" && leave());
    this.addEventListener(`${TAG}:open`, leave, { once: true });
    this.root.prepend(teaser);
  }
}

function install(): void {
  const own = document.querySelector(TAG) ?? document.body.appendChild(document.createElement(TAG));
  (window as unknown as { faqAssistant: Element }).faqAssistant = own;
}

// A page that includes the script twice has one chat.
if (!customElements.get(TAG)) {
  customElements.define(TAG, FaqAssistant);
  if (document.body) install();
  else document.addEventListener("DOMContentLoaded", install);
}
