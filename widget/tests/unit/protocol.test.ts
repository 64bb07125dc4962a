import assert from "node:assert/strict";
import { test } from "node:test";
import { readError, readMessage, readMessages, readSettings } from "../../source/protocol.ts";

test("a message of any wrong shape is left out, not an error", () => {
  const wrong = [null, 1, "x", [], {}, { id: 1, text: "x" }, { id: "a" }, { id: "a", text: "" }, { text: "x" }];
  assert.deepEqual(readMessages(wrong), []);
  assert.deepEqual(readMessages("x"), []);
});

test("fields of a wrong kind become empty, the rest is kept", () => {
  const message = readMessage({ id: "a", from: "assistant", text: "x", evidence: "great", safety: 5, sources: [{ label: "A" }, { url: "u" }, 3], next: [{ title: "N" }, { title: 2 }, "M"], call: [112, "911", null, "+44 (0)20-7946", "911\"><b>", "call me"], feedback: "sideways", time: NaN });
  assert.ok(message?.from === "assistant");
  assert.equal(message.body, "x");
  assert.equal(message.evidence, null);
  assert.equal(message.safety, null);
  assert.deepEqual(message.sources, [{ label: "A", url: null, kind: "" }]);
  assert.deepEqual(message.next, ["N", "M"]);
  assert.deepEqual(message.call, ["112", "911", "+44 (0)20-7946"]);
  assert.equal(message.feedback, null);
  assert.ok(message.time > 0);
});

test("an error has a code and a time to wait", () => {
  assert.equal(readError({ replies: [] }), null);
  const error = readError({ error: { code: "too_many", message: "Slow down.", retry_after: 7 } });
  assert.deepEqual([error?.code, error?.message, error?.retryAfter], ["too_many", "Slow down.", 7]);
});

test("settings that could not be read leave a chat that works", () => {
  const settings = readSettings(null);
  assert.equal(settings.limit, 1000);
  assert.equal(settings.consent, null);
  assert.deepEqual(settings.starters, []);
});
