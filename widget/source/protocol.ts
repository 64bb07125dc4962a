/** What the channel sends and takes, and the reading of it: nothing from outside is trusted to have its shape. */

export type Grade = "good" | "moderate" | "low" | "very_low" | "none";
export type Safety = "emergency" | "symptom" | "out_of_scope" | "fallback";
export type Rating = "up" | "down";

export interface Source {
  label: string;
  url: string | null;
  kind: string;
}

export interface Reply {
  id: string;
  from: "assistant";
  text: string;
  body: string;
  caveat: string | null;
  evidence: Grade | null;
  sources: Source[];
  sources_line: string | null;
  next: string[];
  safety: Safety | null;
  call: string[];
  language: string;
  /** Unix seconds. */
  time: number;
  feedback: Rating | null;
  /** An apology for a turn that went wrong. */
  failed: boolean;
}

export interface UserMessage {
  id: string;
  from: "user";
  text: string;
  /** Unix seconds. */
  time: number;
}

export type Message = Reply | UserMessage;

export interface Settings {
  title: string;
  subtitle: string;
  welcome: string;
  colours: Record<string, string>;
  locale: string;
  consent: { text: string; accept: string } | null;
  starters: string[];
  /** Characters a question may have. */
  limit: number;
  calls: string[];
  privacy_link: string | null;
  answers_link: string | null;
}

export interface Session {
  token: string;
  conversation: string;
  /** Unix seconds. */
  expires: number;
}

/** What went wrong, as the channel says it. `unreachable` is ours: no answer came at all. */
export class ChannelError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** Seconds to wait before the next attempt. */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

type Fields = Record<string, unknown>;

const GRADES: readonly string[] = ["good", "moderate", "low", "very_low", "none"];
const SAFETIES: readonly string[] = ["emergency", "symptom", "out_of_scope", "fallback"];

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const asText = (value: unknown): string => (typeof value === "string" ? value : "");
const asTextOrNull = (value: unknown): string | null => asText(value) || null;
const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const asNumber = (value: unknown, otherwise: number): number =>
  typeof value === "number" && Number.isFinite(value) ? value : otherwise;
const asTexts = (value: unknown): string[] =>
  asList(value)
    .map((item) => (typeof item === "number" ? String(item) : asText(item)))
    .filter(Boolean);
/** Telephone numbers; anything else is none that could be called. */
const asNumbers = (value: unknown): string[] => asTexts(value).filter((text) => /^[\d+*#][\d+*#() -]{1,19}$/u.test(text));
const now = (): number => Date.now() / 1000;

const readRating = (value: unknown): Rating | null => (value === "up" || value === "down" ? value : null);

/** One message of a conversation, or nothing when it has no id or no text to show. */
export function readMessage(value: unknown): Message | null {
  if (!isFields(value)) return null;
  const id = asText(value["id"]);
  const text = asText(value["text"]);
  const time = asNumber(value["time"], now());
  if (!id || !(text || asText(value["body"]))) return null;
  if (value["from"] === "user") return { id, from: "user", text, time };
  const evidence = asText(value["evidence"]);
  const safety = asText(value["safety"]);
  return {
    id,
    from: "assistant",
    text,
    body: asText(value["body"]) || text,
    caveat: asTextOrNull(value["caveat"]),
    evidence: GRADES.includes(evidence) ? (evidence as Grade) : null,
    sources: asList(value["sources"])
      .filter(isFields)
      .map((source) => ({ label: asText(source["label"]), url: asTextOrNull(source["url"]), kind: asText(source["kind"]) }))
      .filter((source) => source.label),
    sources_line: asTextOrNull(value["sources_line"]),
    next: asList(value["next"])
      .map((item) => asText(isFields(item) ? item["title"] : item))
      .filter(Boolean),
    safety: SAFETIES.includes(safety) ? (safety as Safety) : null,
    call: asNumbers(value["call"]),
    language: asText(value["language"]) || "en",
    time,
    feedback: readRating(value["feedback"]),
    failed: value["failed"] === true,
  };
}

/** Every message of a list that can be shown, in its order. */
export function readMessages(value: unknown): Message[] {
  return asList(value)
    .map(readMessage)
    .filter((message): message is Message => message !== null);
}

export function readSession(value: unknown): Session {
  if (!isFields(value) || !asText(value["token"])) throw new ChannelError("failed", "The session has no token.");
  return {
    token: asText(value["token"]),
    conversation: asText(value["conversation"]),
    expires: asNumber(value["expires"], now() + 3600),
  };
}

/** The error of a reply that has one. */
export function readError(value: unknown): ChannelError | null {
  const error = isFields(value) ? value["error"] : undefined;
  if (!isFields(error)) return null;
  const retryAfter = error["retry_after"];
  return new ChannelError(
    asText(error["code"]) || "failed",
    asText(error["message"]),
    typeof retryAfter === "number" && retryAfter >= 0 ? retryAfter : null,
  );
}

/** The clinic's settings; what is missing stays empty and the locale file's words are used. */
export function readSettings(value: unknown): Settings {
  const fields = isFields(value) ? value : {};
  const consent = isFields(fields["consent"]) ? fields["consent"] : {};
  const colours: Record<string, string> = {};
  for (const [name, colour] of Object.entries(isFields(fields["colours"]) ? fields["colours"] : {})) {
    if (typeof colour === "string") colours[name] = colour;
  }
  return {
    title: asText(fields["title"]),
    subtitle: asText(fields["subtitle"]),
    welcome: asText(fields["welcome"]),
    colours,
    locale: asText(fields["locale"]) || "en",
    consent: asText(consent["text"]) ? { text: asText(consent["text"]), accept: asText(consent["accept"]) } : null,
    starters: asTexts(fields["starters"]),
    limit: asNumber(fields["limit"], 1000),
    calls: asNumbers(fields["calls"]),
    privacy_link: asTextOrNull(fields["privacy_link"]),
    answers_link: asTextOrNull(fields["answers_link"]),
  };
}
