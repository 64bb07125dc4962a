import assert from "node:assert/strict";
import { test } from "node:test";
import { Conversation, type Keep } from "../../source/conversation.ts";
import { readMessage, type Reply, type UserMessage } from "../../source/protocol.ts";

function memory(start: UserMessage[] = []): Keep & { kept: UserMessage[] } {
  const keep = { kept: start, load: () => keep.kept, save: (messages: UserMessage[]) => void (keep.kept = messages) };
  return keep;
}
const question = (id: string, time = 1): UserMessage => ({ id, from: "user", text: `question ${id}`, time });
const reply = (id: string, next: string[] = [], time = 2): Reply =>
  readMessage({ id, from: "assistant", text: `reply ${id}`, next: next.map((title) => ({ title })), time }) as Reply;
const nextId = (conversation: Conversation): string | undefined => conversation.next?.message.id;
const ids = (conversation: Conversation): string[] => conversation.said.map((message) => message.id);

test("questions are sent one after the other, in the order they were asked", () => {
  const conversation = new Conversation(memory());
  conversation.ask(question("a"));
  conversation.ask(question("b"));
  assert.equal(nextId(conversation), "a");
  conversation.mark("a", "sending");
  assert.equal(nextId(conversation), undefined);
  conversation.answer("a", [reply("ra")]);
  assert.equal(nextId(conversation), "b");
  assert.deepEqual(ids(conversation), ["a", "ra"]);
});

test("the same question is queued once", () => {
  const conversation = new Conversation(memory());
  conversation.ask(question("a"));
  conversation.ask(question("a"));
  assert.equal(conversation.pending.length, 1);
});

test("an answer that comes twice is shown and told once", () => {
  const conversation = new Conversation(memory());
  conversation.ask(question("a"));
  assert.equal(conversation.answer("a", [reply("ra")]).length, 1);
  assert.equal(conversation.answer("a", [reply("ra")]).length, 0);
  assert.equal(conversation.add([question("a"), reply("ra")]).length, 0);
  assert.deepEqual(ids(conversation), ["a", "ra"]);
});

test("unsent questions survive a reload, and an answered one is not sent again", () => {
  const keep = memory();
  const before = new Conversation(keep);
  before.ask(question("a"));
  before.ask(question("b"));
  const after = new Conversation(keep);
  assert.deepEqual(after.pending.map((item) => item.message.id), ["a", "b"]);
  after.replay([question("a"), reply("ra")]);
  assert.deepEqual(after.pending.map((item) => item.message.id), ["b"]);
  assert.deepEqual(keep.kept.map((message) => message.id), ["b"]);
});

test("a question the server heard but did not answer stays waiting and is shown once", () => {
  const conversation = new Conversation(memory([question("a")]));
  conversation.replay([question("a")]);
  assert.equal(nextId(conversation), "a");
  assert.deepEqual(ids(conversation), []);
});

test("a replay brings the server's order and tells what was missed", () => {
  const conversation = new Conversation(memory());
  conversation.add([question("b", 3)]);
  const missed = conversation.replay([question("a", 1), reply("ra", [], 2), question("b", 3), reply("rb", [], 4)]);
  assert.deepEqual(ids(conversation), ["a", "ra", "b", "rb"]);
  assert.deepEqual(missed.map((message) => message.id), ["a", "ra", "rb"]);
});

test("a replay that was made before the last answer does not take it away", () => {
  const conversation = new Conversation(memory());
  conversation.ask(question("b", 3));
  conversation.answer("b", [reply("rb", [], 4)]);
  conversation.replay([question("a", 1), reply("ra", [], 2)]);
  assert.deepEqual(ids(conversation), ["a", "ra", "b", "rb"]);
});

test("offered questions stay until one is asked", () => {
  const conversation = new Conversation(memory());
  conversation.ask(question("a"));
  conversation.answer("a", [reply("ra", ["Does it hurt?"]), reply("rb", ["Does it hurt?", "Is it safe?"])]);
  assert.deepEqual(conversation.offered, ["Does it hurt?", "Is it safe?"]);
  assert.deepEqual(new Conversation(memory()).offered, []);
  conversation.ask(question("b"));
  assert.deepEqual(conversation.offered, []);
});

test("a failed question holds the next ones back until it is tried again", () => {
  const conversation = new Conversation(memory());
  conversation.ask(question("a"));
  conversation.ask(question("b"));
  conversation.mark("a", "failed", "why");
  assert.equal(nextId(conversation), undefined);
  conversation.retry();
  assert.equal(nextId(conversation), "a");
});
