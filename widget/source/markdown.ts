/** A small Markdown subset read into plain data: bold, italic, lists, links, line breaks. HTML is text like any other. */

export type Span =
  | { kind: "text"; text: string }
  | { kind: "strong" | "emphasis"; spans: Span[] }
  | { kind: "link"; text: string; url: string };
export type Block = { kind: "paragraph"; lines: Span[][] } | { kind: "list"; ordered: boolean; items: Span[][] };

const SCHEMES: readonly string[] = ["https:", "mailto:", "tel:"];
const INLINE =
  /\[(?<label>[^\][\n]{1,300})\]\((?<target>[^()\s]{1,2000})\)|(?<bare>https:\/\/[^\s<>()[\]"']{1,2000})|\*\*(?<strong>[^\s*](?:[^\n*]{0,1000}?[^\s*])?)\*\*|(?<![\w*])\*(?<star>[^\s*](?:[^\n*]{0,1000}?[^\s*])?)\*(?![\w*])|(?<![\w_])_(?<under>[^\s_](?:[^\n_]{0,1000}?[^\s_])?)_(?![\w_])/u;
const LIST_ITEM = /^\s{0,3}(?:(?<bullet>[-*•])|(?<number>\d{1,3})[.)])\s+(?<text>.+)$/u;

/** The address, if it is one a link may go to: https, mailto and tel, and nothing else. */
export function safeLink(address: string | null): string | null {
  if (!address || !URL.canParse(address)) return null;
  const url = new URL(address);
  return SCHEMES.includes(url.protocol) ? url.href : null;
}

/** Spans of one line. `links` is off inside a label, since links do not nest. */
export function readSpans(line: string): Span[] {
  const spans: Span[] = [];
  const addText = (text: string): void => {
    if (text) spans.push({ kind: "text", text });
  };
  let rest = line;
  for (let match = INLINE.exec(rest); match?.groups; match = INLINE.exec(rest)) {
    const { label, target, bare, strong, star, under } = match.groups;
    addText(rest.slice(0, match.index));
    let taken = match[0];
    if (bare !== undefined) taken = bare.replace(/[.,;:!?]+$/u, "");
    const url = safeLink(target ?? (bare === undefined ? null : taken));
    const inner = star ?? under;
    if (strong !== undefined) spans.push({ kind: "strong", spans: readSpans(strong) });
    else if (inner !== undefined) spans.push({ kind: "emphasis", spans: readSpans(inner) });
    else if (url) spans.push({ kind: "link", text: label ?? taken, url });
    else addText(taken);
    rest = rest.slice(match.index + taken.length);
  }
  addText(rest);
  return spans;
}

/** Blocks of a text: paragraphs with their line breaks kept, and flat lists. */
export function readMarkdown(text: string): Block[] {
  const blocks: Block[] = [];
  let open = false;
  for (const line of text.replace(/\r\n?/gu, "\n").split("\n")) {
    if (!line.trim()) {
      open = false;
      continue;
    }
    const item = LIST_ITEM.exec(line)?.groups;
    const last = open ? blocks.at(-1) : undefined;
    if (item) {
      const ordered = item["number"] !== undefined;
      const spans = readSpans(item["text"] ?? "");
      if (last?.kind === "list" && last.ordered === ordered) last.items.push(spans);
      else blocks.push({ kind: "list", ordered, items: [spans] });
    } else if (last?.kind === "paragraph") last.lines.push(readSpans(line));
    else blocks.push({ kind: "paragraph", lines: [readSpans(line)] });
    open = true;
  }
  return blocks;
}

const spanText = (span: Span): string => ("spans" in span ? span.spans.map(spanText).join("") : span.text);

/** The text without its marks, for reading aloud and for copies. */
export function plainText(text: string): string {
  return readMarkdown(text)
    .map((block) =>
      block.kind === "list"
        ? block.items.map((item, place) => `${block.ordered ? `${place + 1}.` : "-"} ${item.map(spanText).join("")}`).join("\n")
        : block.lines.map((line) => line.map(spanText).join("")).join("\n"),
    )
    .join("\n");
}
