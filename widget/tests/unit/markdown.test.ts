import assert from "node:assert/strict";
import { test } from "node:test";
import { plainText, readMarkdown, readSpans, safeLink } from "../../source/markdown.ts";

test("plain lines are paragraphs with their line breaks", () => {
  assert.deepEqual(readMarkdown("One.\nTwo.\n\nThree."), [
    { kind: "paragraph", lines: [[{ kind: "text", text: "One." }], [{ kind: "text", text: "Two." }]] },
    { kind: "paragraph", lines: [[{ kind: "text", text: "Three." }]] },
  ]);
});

test("bold, italic and links are read, also inside each other", () => {
  assert.deepEqual(readSpans("a **b _c_** [d](https://e.example/f)"), [
    { kind: "text", text: "a " },
    { kind: "strong", spans: [{ kind: "text", text: "b " }, { kind: "emphasis", spans: [{ kind: "text", text: "c" }] }] },
    { kind: "text", text: " " },
    { kind: "link", text: "d", url: "https://e.example/f" },
  ]);
});

test("lists are read, numbered and not", () => {
  const blocks = readMarkdown("Ask:\n- what is in it\n- who injects\n1. first\n2) second");
  assert.deepEqual(blocks.map((block) => (block.kind === "list" ? [block.ordered, block.items.length] : block.kind)), ["paragraph", [false, 2], [true, 2]]);
});

test("a price range, a multiplication and a snake_case word are no emphasis", () => {
  for (const text of ["$250 * 6 visits * 2", "2*3*4", "a snake_case_word here", "5 * 5", "** not bold **x"]) assert.equal(plainText(text), text);
});

test("a bare address loses the full stop after it, not the one in it", () => {
  assert.deepEqual(readSpans("See https://fda.gov/a.b."), [
    { kind: "text", text: "See " },
    { kind: "link", text: "https://fda.gov/a.b", url: "https://fda.gov/a.b" },
    { kind: "text", text: "." },
  ]);
});

test("links go to https, mailto and tel only", () => {
  for (const good of ["https://a.example/", "mailto:a@b.example", "tel:+15551234"]) assert.equal(safeLink(good), good);
  const bad = ["javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "data:text/html,<script>", "vbscript:x", "http://a.example", "//a.example", "/a", "", "blob:https://a.example/x", "file:///etc/passwd"];
  for (const address of bad) assert.equal(safeLink(address), null, address);
});

test("a link with a forbidden address stays text", () => {
  const text = "[free](javascript:alert(1)) [x](data:text/html,y)";
  assert.equal(readSpans(text).some((span) => span.kind === "link"), false);
  assert.equal(plainText(text), text);
});

test("HTML is text", () => {
  const text = "<img src=x onerror=alert(1)> <script>alert(1)</script> &lt;b&gt;";
  assert.deepEqual(readSpans(text), [{ kind: "text", text }]);
});

test("hostile lengths take no time", () => {
  const started = performance.now();
  for (const text of ["*".repeat(20_000), "[".repeat(20_000), "_a".repeat(10_000), "**a".repeat(10_000), "- ".repeat(10_000), "https://".repeat(5_000)]) {
    readMarkdown(text);
  }
  assert.ok(performance.now() - started < 2_000, `${performance.now() - started} ms`);
});
