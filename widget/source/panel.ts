/** The chat itself, `<faq-panel>`: in its own frame, or inline on a page of the same site. */

import { html, LitElement, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { Announcer } from "./announcer.ts";
import { Assistant, type Notice } from "./assistant.ts";
import { Channel } from "./channel.ts";
import { Conversation, type Pending } from "./conversation.ts";
import { CLOSE, MORE, SEND } from "./icons.ts";
import { plainText, safeLink } from "./markdown.ts";
import { clinicText, icon, questionView, replyView, telephone, type Scene } from "./message-view.ts";
import styles from "./panel.css";
import { readSettings, type Message, type Rating, type Reply, type Settings } from "./protocol.ts";
import { shared, unsentQuestions } from "./storage.ts";
import { panelProperties } from "./theme.ts";
import { transcript } from "./transcript.ts";
import { ENGLISH, fill, loadWords, type Words } from "./words.ts";

const BASE = new URL(".", import.meta.url);
/** Milliseconds after which the typing line says that it takes long. */
const LONG_WAIT = 8_000;
/** Milliseconds a passing notice stays on the screen. */
const NOTICE_TIME = 8_000;
/** The share of the length limit from which the characters left are shown. */
const COUNT_FROM = 0.8;

type Confirming = "new" | "erase" | null;

export class FaqPanel extends LitElement {
  static override styles = unsafeCSS(styles);
  static override properties = { inline: { type: Boolean }, locale: { type: String } };

  /** On a page of its own site, without a launcher: a region, not a dialog. */
  declare inline: boolean;
  /** A language tag that goes before the clinic's setting. */
  declare locale: string;

  private settings: Settings | null = null;
  private words: Words = ENGLISH;
  private isOpen = false;
  private isModal = false;
  private optionsOpen = false;
  private confirming: Confirming = null;
  private askingWhy: string | null = null;
  private draft = "";
  private notice = "";
  private unread = 0;
  private waitsLong = false;
  private scrollGoal: "question" | "end" | null = null;
  private wasTyping = false;
  private longTimer: ReturnType<typeof setTimeout> | undefined;
  private noticeTimer: ReturnType<typeof setTimeout> | undefined;
  private heldText: string[] = [];
  private announcer!: Announcer;

  private readonly channel = new Channel(BASE, () => this.words.language);
  private readonly assistant = new Assistant(
    new Conversation(unsentQuestions),
    this.channel,
    {
      changed: () => this.conversationChanged(),
      replied: (replies) => this.announceReplies(replies),
      notice: (name) => this.showNotice(name),
    },
    () => this.words.failed,
  );

  constructor() {
    super();
    this.inline = false;
    this.locale = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.announcer ??= new Announcer(this);
    if (this.settings) return;
    window.addEventListener("online", () => this.assistant.networkChanged());
    window.addEventListener("offline", () => this.assistant.networkChanged());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.assistant.link === "lost") this.assistant.tryNow();
    });
    void this.prepare();
  }

  /** It is shown now, over the whole screen when `modal`; `focus` moves the focus into it. */
  async open(modal: boolean, focus: boolean): Promise<void> {
    this.isOpen = true;
    this.isModal = modal;
    this.setUnread(0);
    this.requestUpdate();
    await this.updateComplete;
    if (focus) this.focusStart();
  }

  closed(): void {
    this.isOpen = false;
    this.optionsOpen = false;
    this.confirming = null;
    this.requestUpdate();
  }

  /** Ask a question for the person, as if they had typed it. It waits for their consent where that is asked for. */
  send(text: string): void {
    const question = text.trim();
    if (!question) return;
    if (!this.hasConsent) {
      this.heldText.push(question);
      return;
    }
    this.scrollGoal = "end";
    this.emit("said", { from: "user" });
    this.assistant.ask(question);
  }

  async setLocale(locale: string): Promise<void> {
    this.locale = locale;
    this.words = await loadWords(BASE, locale);
    this.lang = this.words.language;
    this.dir = this.words.direction;
    if (!this.inline) Object.assign(document.documentElement, { lang: this.lang, dir: this.dir });
    this.requestUpdate();
  }

  private async prepare(): Promise<void> {
    const response = await fetch(new URL("config.json", BASE), { credentials: "omit" }).catch(() => null);
    this.settings = readSettings(response?.ok ? await response.json().catch(() => null) : null);
    for (const [name, value] of Object.entries(panelProperties(this.settings.colours))) this.style.setProperty(name, value);
    await this.setLocale(this.locale || this.settings.locale);
    if (!this.inline) document.title = this.settings.title || this.words.title;
    this.scrollGoal = "end";
    if (this.hasConsent) this.assistant.start();
    if (this.inline) this.isOpen = true;
    this.requestUpdate();
    await this.updateComplete;
    this.emit("ready");
  }

  private get hasConsent(): boolean {
    const consent = this.settings?.consent;
    return this.settings !== null && (!consent || shared.get("consent") === consent.text);
  }

  private acceptConsent(): void {
    shared.set("consent", this.settings?.consent?.text ?? "");
    this.assistant.start();
    for (const text of this.heldText.splice(0)) this.send(text);
    this.requestUpdate();
    void this.updateComplete.then(() => this.focusStart());
  }

  private find<T extends HTMLElement>(selector: string): T | null {
    return this.renderRoot.querySelector<T>(selector);
  }

  /** Where a question is written; on a phone the conversation, since the keyboard would hide the answer. */
  private focusStart(): void {
    const touch = matchMedia("(pointer: coarse)").matches;
    const target = !this.hasConsent ? "#title" : touch ? ".log" : "textarea";
    this.find(target)?.focus({ preventScroll: true });
  }

  private emit(name: string, detail: Record<string, unknown> = {}): void {
    this.dispatchEvent(new CustomEvent(`panel-${name}`, { detail, bubbles: true, composed: true }));
  }

  private setUnread(count: number): void {
    if (count === this.unread) return;
    this.unread = count;
    this.emit("unread", { count });
  }

  private conversationChanged(): void {
    const { typing } = this.assistant;
    if (typing !== this.wasTyping) {
      clearTimeout(this.longTimer);
      this.waitsLong = false;
      this.wasTyping = typing;
      if (typing) {
        this.longTimer = setTimeout(() => {
          this.waitsLong = true;
          this.announcer.status(this.words.typing_long);
          this.requestUpdate();
        }, LONG_WAIT);
      }
    }
    this.requestUpdate();
  }

  private announceReplies(replies: Reply[]): void {
    const { words } = this;
    const [urgent, others] = [replies.filter((reply) => reply.safety === "emergency"), replies.filter((reply) => reply.safety !== "emergency")];
    for (const reply of urgent) this.announcer.alert(`${words.emergency}. ${plainText(reply.text || reply.body)}`, reply.language);
    if (others.length > 0) {
      const told = others.map((reply) => {
        const count = reply.sources.length;
        return [plainText(reply.body), reply.caveat, count > 0 ? fill(words.announce_sources, { count }) : ""].filter(Boolean).join(" ");
      });
      const count = this.assistant.conversation.offered.length;
      if (count > 0) told.push(fill(words.announce_next, { count }));
      this.announcer.reply(`${words.assistant_said} ${told.join(" ")}`, others[0]?.language ?? words.language);
    }
    this.emit("said", { from: "assistant" });
    if (!this.isOpen) this.setUnread(this.unread + 1);
    this.scrollGoal = "question";
  }

  private showNotice(name: Notice): void {
    this.tell(this.words[name]);
    if (name === "erased") void this.updateComplete.then(() => this.focusStart());
  }

  private tell(text: string): void {
    this.notice = text;
    this.announcer.status(text);
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => {
      this.notice = "";
      this.requestUpdate();
    }, NOTICE_TIME);
    this.requestUpdate();
  }

  // ------------------------------------------------------------------ what the person does

  private submit(event?: Event): void {
    event?.preventDefault();
    const text = this.draft.trim();
    if (!text || this.surplus > 0) {
      if (this.surplus > 0) this.announcer.alert(fill(this.words.too_long, { count: this.surplus }));
      this.find("textarea")?.focus();
      return;
    }
    this.draft = "";
    this.send(text);
    void this.updateComplete.then(() => this.fitInput());
  }

  private choose(question: string): void {
    this.send(question);
    void this.updateComplete.then(() => this.focusStart());
  }

  private typed(event: Event): void {
    const before = this.surplus > 0;
    this.draft = (event.target as HTMLTextAreaElement).value;
    this.fitInput();
    if (this.surplus > 0 !== before) this.announcer.status(this.countText);
    this.requestUpdate();
  }

  private keyInInput(event: KeyboardEvent): void {
    // Enter that ends the composing of a character is not the end of the question.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) this.submit(event);
  }

  private fitInput(): void {
    const input = this.find<HTMLTextAreaElement>("textarea");
    if (!input) return;
    input.style.blockSize = "auto";
    input.style.blockSize = `${input.scrollHeight + 2}px`;
  }

  private keyAnywhere(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.isComposing) return;
    event.stopPropagation();
    if (this.confirming) this.cancelConfirm();
    else if (this.optionsOpen) this.toggleOptions();
    else if (!this.inline) this.emit("close");
  }

  private toggleOptions(): void {
    this.optionsOpen = !this.optionsOpen;
    this.requestUpdate();
    void this.updateComplete.then(() => this.find<HTMLElement>(this.optionsOpen ? "#options button" : ".options-toggle")?.focus());
  }

  private async act(option: "copy" | "download" | "print" | "new" | "erase"): Promise<void> {
    const { words } = this;
    const messages: Message[] = [...this.assistant.conversation.said, ...this.assistant.conversation.pending.map((item) => item.message)];
    if (option === "new" || option === "erase") {
      this.optionsOpen = false;
      this.confirming = option;
      this.requestUpdate();
      await this.updateComplete;
      this.find(".confirm .keep")?.focus();
      return;
    }
    this.toggleOptions();
    await this.updateComplete;
    if (option === "print") window.print();
    const text = transcript(messages, words, words.language);
    if (option === "copy") {
      await navigator.clipboard.writeText(text).then(
        () => this.tell(words.copied),
        () => this.tell(words.copy_failed),
      );
    }
    if (option === "download") {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
      link.download = words.transcript_file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }
  }

  private cancelConfirm(): void {
    this.confirming = null;
    this.requestUpdate();
    void this.updateComplete.then(() => this.find(".options-toggle")?.focus());
  }

  private async confirm(): Promise<void> {
    const erase = this.confirming === "erase";
    this.confirming = null;
    this.askingWhy = null;
    if (erase) await this.assistant.erase();
    else {
      this.assistant.startNew();
      this.tell(this.words.started_new);
    }
    this.requestUpdate();
    await this.updateComplete;
    this.focusStart();
  }

  private rate(reply: Reply, rating: Rating | null, reason?: string): void {
    this.askingWhy = rating === "down" && !reason ? reply.id : null;
    void this.assistant.rate(reply, rating, reason);
    if (reason) void this.updateComplete.then(() => this.focusStart());
  }

  // ------------------------------------------------------------------ what is shown

  /** Characters above the limit. */
  private get surplus(): number {
    return this.draft.trim().length - (this.settings?.limit ?? Infinity);
  }

  private get countText(): string {
    const left = -this.surplus;
    if (left < 0) return fill(this.words.too_long, { count: this.surplus });
    return fill(left === 1 ? this.words.characters_left_one : this.words.characters_left_many, { count: left });
  }

  private get stateText(): string {
    const { words, assistant } = this;
    if (assistant.pause) return fill(words[assistant.pause.reason], { seconds: assistant.pause.seconds });
    if (assistant.link === "offline") return words.offline;
    if (assistant.link === "lost") return words.reconnecting;
    return "";
  }

  protected override willUpdate(): void {
    const told = this.assistant.pause?.reason ?? this.assistant.link;
    if (told !== this.toldState) {
      this.toldState = told;
      if (this.stateText) this.announcer.status(this.stateText);
    }
  }
  private toldState: string = "idle";

  protected override render(): TemplateResult | typeof nothing {
    const { words, settings } = this;
    if (!settings) return nothing;
    const role = this.inline ? "region" : "dialog";
    return html`<section class="panel" role=${role} aria-modal=${this.isModal && !this.inline ? "true" : nothing} aria-labelledby="title"
      aria-describedby="subtitle" @keydown=${this.keyAnywhere}>
      ${this.header(settings)} ${this.optionsOpen ? this.options() : nothing} ${this.state()}
      <div class="log" role="log" aria-live="off" aria-label=${words.log} tabindex="0">
        ${this.intro(settings)} ${this.messages()} ${this.working()} ${this.nextQuestions()}
      </div>
      ${this.confirming ? this.confirmation(this.confirming) : nothing}
      ${this.hasConsent ? this.composer() : this.consent(settings)} ${this.footer(settings)}
      <slot name="announcer"></slot>
    </section>`;
  }

  private header(settings: Settings): TemplateResult {
    const { words } = this;
    return html`<header>
      <div class="titles">
        <h2 id="title" tabindex="-1">${settings.title || words.title}</h2>
        <p id="subtitle">${settings.subtitle || words.subtitle}</p>
      </div>
      <button type="button" class="tool options-toggle" title=${words.options} aria-label=${words.options} aria-expanded=${this.optionsOpen}
        aria-controls=${this.optionsOpen ? "options" : nothing} @click=${this.toggleOptions}>${icon(MORE)}</button>
      ${this.inline
        ? nothing
        : html`<button type="button" class="tool" title=${words.close} aria-label=${words.close} @click=${() => this.emit("close")}>${icon(CLOSE)}</button>`}
    </header>`;
  }

  private options(): TemplateResult {
    const { words } = this;
    const empty = this.assistant.conversation.isEmpty;
    const option = (name: "copy" | "download" | "print" | "new" | "erase", label: string): TemplateResult =>
      html`<li><button type="button" @click=${() => this.act(name)}>${label}</button></li>`;
    const link = (address: string | null, label: string): TemplateResult | typeof nothing => {
      const url = safeLink(address);
      return url ? html`<li><a href=${url} target="_blank" rel="noopener noreferrer">${label}<span class="hidden"> ${words.new_tab}</span></a></li>` : nothing;
    };
    return html`<ul id="options" class="options">
      ${empty
        ? nothing
        : [option("copy", words.option_copy), option("download", words.option_download), option("print", words.option_print), option("new", words.option_new)]}
      ${option("erase", words.option_erase)} ${link(this.settings?.answers_link ?? null, words.answers)}
      ${link(this.settings?.privacy_link ?? null, words.privacy)}
    </ul>`;
  }

  private state(): TemplateResult | typeof nothing {
    const state = this.stateText;
    if (state) {
      return html`<div class="state" data-kind="trouble"><p>${state}</p>
        <button type="button" class="small" @click=${() => this.assistant.tryNow()}>${this.words.try_now}</button></div>`;
    }
    return this.notice ? html`<div class="state"><p>${this.notice}</p></div>` : nothing;
  }

  private intro(settings: Settings): TemplateResult {
    const { words } = this;
    const ask = this.hasConsent && this.assistant.conversation.isEmpty && settings.starters.length > 0;
    return html`<div class="intro">${clinicText(settings.welcome || words.welcome, words)}</div>
      ${ask ? this.choices("starters", words.starters, settings.starters) : nothing}`;
  }

  private choices(name: string, label: string, questions: readonly string[]): TemplateResult {
    return html`<div class="choices" role="group" aria-labelledby=${name}>
      <p id=${name}>${label}</p>
      ${questions.map((question) => html`<button type="button" class="chip" dir="auto" @click=${() => this.choose(question)}>${question}</button>`)}
    </div>`;
  }

  private messages(): TemplateResult {
    const { said, pending } = this.assistant.conversation;
    const { words } = this;
    const clock = new Intl.DateTimeFormat(words.language, { timeStyle: "short" });
    const scene: Scene = {
      words,
      time: (seconds) => clock.format(new Date(seconds * 1000)),
      rate: (reply, rating, reason) => this.rate(reply, rating, reason),
      askingWhy: this.askingWhy,
    };
    const items: { message: Message; pending: Pending | null }[] = [
      ...said.map((message) => ({ message, pending: null })),
      ...pending.map((item) => ({ message: item.message, pending: item })),
    ];
    // A conversation of today needs no dates.
    let day = new Date().toDateString();
    return html`<ol class="messages">
      ${repeat(
        items,
        (item) => item.message.id,
        (item) => {
          const date = new Date(item.message.time * 1000);
          const isNewDay = date.toDateString() !== day;
          day = date.toDateString();
          return html`<li data-from=${item.message.from} data-id=${item.message.id}>
            ${isNewDay ? html`<p class="day">${this.dayName(date)}</p>` : nothing}
            ${item.message.from === "user" ? questionView(item.message, scene, this.delivery(item.pending)) : replyView(item.message, scene)}
          </li>`;
        },
      )}
    </ol>`;
  }

  private dayName(date: Date): string {
    const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
    if (days === 0) return this.words.today;
    if (days === 1) return this.words.yesterday;
    return new Intl.DateTimeFormat(this.words.language, { dateStyle: "long" }).format(date);
  }

  private delivery(pending: Pending | null): TemplateResult | typeof nothing {
    const { words } = this;
    if (pending?.delivery === "failed") {
      return html`<span class="failed">${words.not_sent} ${pending.reason}</span>
        <button type="button" class="small" @click=${() => this.assistant.tryNow()}>${words.retry}</button>`;
    }
    return pending?.delivery === "waiting" && this.stateText ? html`<span>${words.waiting}</span>` : nothing;
  }

  private working(): TemplateResult | typeof nothing {
    if (!this.assistant.typing) return nothing;
    const { words } = this;
    return html`<div class="typing"><span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>${this.waitsLong ? words.typing_long : words.typing}</div>`;
  }

  private nextQuestions(): TemplateResult | typeof nothing {
    const { offered } = this.assistant.conversation;
    return offered.length > 0 ? this.choices("next", this.words.next_questions, offered) : nothing;
  }

  private confirmation(asked: "new" | "erase"): TemplateResult {
    const { words } = this;
    const [question, yes] = asked === "erase" ? [words.confirm_erase, words.confirm_erase_yes] : [words.confirm_new, words.confirm_new_yes];
    return html`<div class="confirm" role="group" aria-labelledby="confirm-question">
      <p id="confirm-question">${question}</p>
      <div class="buttons">
        <button type="button" class="secondary keep" aria-describedby="confirm-question" @click=${this.cancelConfirm}>${words.confirm_no}</button>
        <button type="button" class=${asked === "erase" ? "danger" : "primary"} @click=${this.confirm}>${yes}</button>
      </div>
    </div>`;
  }

  private consent(settings: Settings): TemplateResult {
    const { words } = this;
    const url = safeLink(settings.privacy_link);
    return html`<div class="confirm consent" role="group" aria-labelledby="consent-title">
      <h3 id="consent-title">${words.consent_title}</h3>
      ${clinicText(settings.consent?.text ?? "", words)}
      ${url ? html`<p><a href=${url} target="_blank" rel="noopener noreferrer">${words.privacy}<span class="hidden"> ${words.new_tab}</span></a></p>` : nothing}
      <div class="buttons"><button type="button" class="primary" @click=${this.acceptConsent}>${settings.consent?.accept}</button></div>
    </div>`;
  }

  private composer(): TemplateResult {
    const { words } = this;
    const limit = this.settings?.limit ?? Infinity;
    const counts = this.draft.trim().length >= limit * COUNT_FROM;
    const tooLong = this.surplus > 0;
    return html`<form class="composer" @submit=${this.submit}>
      <div class="field" data-invalid=${tooLong || nothing}>
        <label class="hidden" for="input">${words.input}</label>
        <textarea id="input" rows="1" dir="auto" autocomplete="off" enterkeyhint="send" placeholder=${words.placeholder} .value=${this.draft}
          aria-invalid=${tooLong} aria-describedby=${counts ? "count" : nothing} @input=${this.typed} @keydown=${this.keyInInput}></textarea>
        <button type="submit" class="send" title=${words.send} aria-label=${words.send}>${icon(SEND)}</button>
      </div>
      ${counts ? html`<p id="count" class="count" data-invalid=${tooLong || nothing}>${this.countText}</p>` : nothing}
    </form>`;
  }

  private footer(settings: Settings): TemplateResult {
    const { words } = this;
    const last = settings.calls.length - 1;
    const numbers = settings.calls.map((number, place) => {
      const joint = place === 0 ? " " : place === last ? ` ${words.footer_or} ` : ", ";
      return html`${joint}<a href=${telephone(number)}>${number}</a>`;
    });
    return settings.calls.length > 0 ? html`<p class="footer">${words.footer}${numbers}.</p>` : html`<p class="footer">${words.transcript_note}</p>`;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const log = this.find(".log");
    if (!log || !this.scrollGoal) return;
    const asked = [...log.querySelectorAll<HTMLElement>('li[data-from="user"]')].at(-1);
    // An answer is read from its beginning: the question goes to the top, the answer below it.
    const scroller = (log.scrollHeight > log.clientHeight ? log : log.parentElement) ?? log;
    if (this.scrollGoal === "question" && asked) scroller.scrollTop += asked.getBoundingClientRect().top - scroller.getBoundingClientRect().top - 8;
    else if (!this.assistant.conversation.isEmpty) scroller.scrollTop = scroller.scrollHeight;
    this.scrollGoal = null;
  }
}

if (!customElements.get("faq-panel")) customElements.define("faq-panel", FaqPanel);
