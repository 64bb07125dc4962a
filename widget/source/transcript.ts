/** The conversation as plain text, for a copy, a file, or a doctor. */

import { plainText } from "./markdown.ts";
import type { Message } from "./protocol.ts";
import type { Words } from "./words.ts";

export function transcript(messages: readonly Message[], words: Words, locale: string): string {
  const format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  const entries = messages.map((message) => {
    const time = format.format(new Date(message.time * 1000));
    if (message.from === "user") return `${words.you} (${time}):\n${message.text}`;
    const links = message.sources.filter((source) => source.url).map((source) => `- ${source.label}: ${source.url ?? ""}`);
    return [`${words.assistant} (${time}):`, plainText(message.text || message.body), ...links].join("\n");
  });
  return [`${words.transcript_title}\n${words.transcript_note}`, ...entries].join("\n\n") + "\n";
}
