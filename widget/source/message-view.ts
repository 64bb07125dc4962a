/** One message as elements. Every text becomes a text node; nothing the assistant or a person wrote is read as HTML. */

import { html, nothing, type TemplateResult } from "lit";
import { ALERT, THUMB_DOWN, THUMB_UP } from "./icons.ts";
import { readMarkdown, readSpans, safeLink, type Block, type Span } from "./markdown.ts";
import type { Grade, Rating, Reply, UserMessage } from "./protocol.ts";
import { fill, type Words } from "./words.ts";

type Part = TemplateResult | string | typeof nothing;

export interface Scene {
  words: Words;
  time: (unixSeconds: number) => string;
  rate: (reply: Reply, rating: Rating | null, reason?: string) => void;
  /** The reply whose "what was wrong" question is open. */
  askingWhy: string | null;
}

const STEPS: Record<Grade, number> = { none: 0, very_low: 1, low: 2, moderate: 3, good: 4 };
/** A title over one of several answers is a line of its own that asks. */
const LONGEST_TITLE = 90;

export const icon = (path: string): TemplateResult =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${path}></path></svg>`;

const outside = (url: string, label: Part | Part[], words: Words): TemplateResult =>
  url.startsWith("https:")
    ? html`<a href=${url} target="_blank" rel="noopener noreferrer">${label}<span class="hidden"> ${words.new_tab}</span></a>`
    : html`<a href=${url}>${label}</a>`;

export const telephone = (number: string): string => `tel:${number.replace(/[^\d+*#]/gu, "")}`;

/** The text with these telephone numbers as links, where they stand as whole numbers. */
function withNumbers(text: string, numbers: readonly string[]): Part[] {
  if (numbers.length === 0) return [text];
  const escaped = numbers.map((number) => number.replace(/[+*()]/gu, "\\$&")).sort((one, other) => other.length - one.length);
  return text
    .split(new RegExp(`(?<![\\d.,-])(${escaped.join("|")})(?![\\d%]|[.,-]\\d)`, "u"))
    .map((part) => (numbers.includes(part) ? html`<a class="number" href=${telephone(part)}>${part}</a>` : part));
}

function spans(list: readonly Span[], words: Words, numbers: readonly string[]): Part[] {
  return list.flatMap((span): Part[] => {
    if (span.kind === "text") return withNumbers(span.text, numbers);
    if (span.kind === "link") return [outside(span.url, span.text, words)];
    const inner = spans(span.spans, words, numbers);
    return [span.kind === "strong" ? html`<strong>${inner}</strong>` : html`<em>${inner}</em>`];
  });
}

const isTitle = (line: readonly Span[], isLast: boolean): boolean => {
  const only = line.length === 1 ? line[0] : undefined;
  return !isLast && only?.kind === "text" && only.text.endsWith("?") && only.text.length <= LONGEST_TITLE;
};

function block(part: Block, isLast: boolean, words: Words, numbers: readonly string[]): Part[] {
  if (part.kind === "list") {
    const items = part.items.map((item) => html`<li>${spans(item, words, numbers)}</li>`);
    return [part.ordered ? html`<ol>${items}</ol>` : html`<ul>${items}</ul>`];
  }
  return part.lines.map((line, place) => {
    const title = isTitle(line, isLast && place === part.lines.length - 1);
    return html`<p class=${title ? "question" : nothing}>${spans(line, words, numbers)}</p>`;
  });
}

function body(text: string, words: Words, numbers: readonly string[]): Part[] {
  const blocks = readMarkdown(text);
  return blocks.flatMap((part, place) => block(part, place === blocks.length - 1, words, numbers));
}

/** The grade and the caveat: a part of its own, always there, never folded away. */
function caveat(reply: Reply, words: Words): Part {
  if (!reply.caveat) return nothing;
  const end = reply.caveat.indexOf(". ") + 1;
  const [first, rest] = end > 0 ? [reply.caveat.slice(0, end), reply.caveat.slice(end)] : [reply.caveat, ""];
  const steps = reply.evidence === null ? nothing : html`<span class="meter" aria-hidden="true" data-grade=${reply.evidence}>
    ${[1, 2, 3, 4].map((step) => html`<i class=${step <= STEPS[reply.evidence ?? "none"] ? "on" : "off"}></i>`)}</span>`;
  return html`<div class="caveat" role="note" aria-label=${words.evidence}>${steps}<p><strong>${first}</strong>${rest}</p></div>`;
}

/** The sources line as the assistant wrote it, each source that has an address as a link. */
function sources(reply: Reply, words: Words): Part {
  if (!reply.sources_line && reply.sources.length === 0) return nothing;
  const line = reply.sources_line ?? `${words.sources}: ${reply.sources.map((source) => source.label).join(" · ")}`;
  const parts: Part[] = [];
  let done = 0;
  for (const source of reply.sources) {
    const start = line.indexOf(source.label, done);
    if (start < 0) continue;
    const url = safeLink(source.url);
    parts.push(line.slice(done, start), url ? outside(url, source.label, words) : source.label);
    done = start + source.label.length;
  }
  return html`<p class="sources">${parts}${line.slice(done)}</p>`;
}

function rating(reply: Reply, scene: Scene): Part {
  if (!reply.caveat && (reply.safety === null || reply.safety === "emergency")) return nothing;
  const { words } = scene;
  const thumb = (value: Rating, label: string, path: string): TemplateResult => {
    const pressed = reply.feedback === value;
    return html`<button type="button" class="thumb" title=${label} aria-label=${label} aria-pressed=${pressed}
      @click=${() => scene.rate(reply, pressed ? null : value)}>${icon(path)}</button>`;
  };
  return html`${thumb("up", words.helpful, THUMB_UP)}${thumb("down", words.not_helpful, THUMB_DOWN)}`;
}

function why(reply: Reply, scene: Scene): Part {
  if (scene.askingWhy !== reply.id || reply.feedback !== "down") return nothing;
  const { words } = scene;
  const reasons = [words.reason_other_question, words.reason_unclear, words.reason_incomplete, words.reason_doubtful];
  return html`<div class="why" role="group" aria-labelledby="why-${reply.id}">
    <p id="why-${reply.id}">${words.feedback_why}</p>
    ${reasons.map((reason) => html`<button type="button" class="chip" @click=${() => scene.rate(reply, "down", reason)}>${reason}</button>`)}
  </div>`;
}

export function replyView(reply: Reply, scene: Scene): TemplateResult {
  const { words } = scene;
  const emergency = reply.safety === "emergency";
  const heading = emergency
    ? html`<p class="banner" id="banner-${reply.id}">${icon(ALERT)}${words.emergency}</p>`
    : reply.safety === "symptom"
      ? html`<p class="banner" id="banner-${reply.id}">${words.symptom}</p>`
      : nothing;
  const calls = reply.call.map(
    (number) => html`<a class="call" href=${telephone(number)}>${fill(words.call, { number })}</a>`,
  );
  return html`<div class="card" data-safety=${reply.safety ?? nothing} ?data-failed=${reply.failed} role=${heading === nothing ? nothing : "group"}
    aria-labelledby=${heading === nothing ? nothing : `banner-${reply.id}`}>
      <span class="hidden">${words.assistant_said}</span>
      ${heading}
      <div class="body" dir="auto" lang=${reply.language}>${body(reply.body, words, reply.call)}</div>
      ${calls.length > 0 ? html`<div class="calls">${calls}</div>` : nothing}
      <div class="ground" dir="auto" lang=${reply.language}>${caveat(reply, words)}${sources(reply, words)}</div>
    </div>
    <div class="meta"><time datetime=${new Date(reply.time * 1000).toISOString()}>${scene.time(reply.time)}</time>${rating(reply, scene)}</div>
    ${why(reply, scene)}`;
}

/** `state` says why it is not answered yet; nothing when it is. */
export function questionView(message: UserMessage, scene: Scene, state: Part): TemplateResult {
  return html`<div class="bubble" title=${scene.time(message.time)}><span class="hidden">${scene.words.you_said} </span><span dir="auto">${message.text}</span></div>
    ${state === nothing ? nothing : html`<div class="meta">${state}</div>`}`;
}

/** A short text of the clinic's own (welcome, consent), with links and emphasis. */
export const clinicText = (text: string, words: Words): Part[] => text.split("\n").map((line) => html`<p dir="auto">${spans(readSpans(line), words, [])}</p>`);
