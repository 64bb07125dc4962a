import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Assistant, type Notice } from "../../source/assistant.ts";
import type { ChannelEvents, Transport } from "../../source/channel.ts";
import { Conversation } from "../../source/conversation.ts";
import { ChannelError, readMessage, type Message, type Reply } from "../../source/protocol.ts";

const reply = (id: string): Message => readMessage({ id, from: "assistant", text: id, time: 1 }) ?? assert.fail();
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

/** A channel whose next answers are given beforehand. */
class Scripted implements Transport {
  hasSession = false;
  sent: string[] = [];
  past: Message[] = [];
  events: ChannelEvents | null = null;
  answers: (Message[] | Error)[] = [];
  connect(events: ChannelEvents): void {
    this.events = events;
  }
  wake(): void {}
  async send(message: { id: string }): Promise<Message[]> {
    this.sent.push(message.id);
    const answer = this.answers.shift() ?? [reply(`r${this.sent.length}`)];
    if (answer instanceof Error) throw answer;
    return answer;
  }
  async history(): Promise<Message[]> {
    return this.past;
  }
  async rate(): Promise<void> {}
  async erase(): Promise<void> {}
  forget(): void {}
}

function build(): { channel: Scripted; assistant: Assistant; told: Reply[][]; notices: Notice[] } {
  const channel = new Scripted();
  const told: Reply[][] = [];
  const notices: Notice[] = [];
  const events = { changed: () => {}, replied: (replies: Reply[]) => void told.push(replies), notice: (name: Notice) => void notices.push(name) };
  const assistant = new Assistant(new Conversation({ load: () => [], save: () => {} }), channel, events, () => "It failed.", () => true);
  assistant.start();
  return { channel, assistant, told, notices };
}

test("an unreachable server gets the same question again, with the same id, until it answers once", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { channel, assistant, told } = build();
  channel.answers = [new ChannelError("unreachable", ""), new ChannelError("unreachable", "")];
  assistant.ask("does it hurt");
  await settle();
  assert.equal(assistant.link, "lost");
  assert.equal(assistant.conversation.pending[0]?.delivery, "waiting");
  for (let pause = 0; pause < 3; pause += 1) {
    mock.timers.tick(20_000);
    await settle();
  }
  mock.timers.reset();
  assert.equal(channel.sent.length, 3);
  assert.equal(new Set(channel.sent).size, 1);
  assert.equal(told.length, 1);
  assert.equal(assistant.link, "online");
});

test("when asked to wait, the queue counts down in words and goes on", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { channel, assistant } = build();
  channel.answers = [new ChannelError("too_many", "", 2)];
  assistant.ask("one");
  await settle();
  assert.deepEqual(assistant.pause, { reason: "too_many", seconds: 2 });
  for (let second = 0; second < 2; second += 1) {
    mock.timers.tick(1_000);
    await settle();
  }
  mock.timers.reset();
  assert.equal(assistant.pause, null);
  assert.equal(channel.sent.length, 2);
  assert.equal(assistant.conversation.pending.length, 0);
});

test("a refused question says why and is sent again only when the person wants it", async () => {
  const { channel, assistant } = build();
  channel.answers = [new ChannelError("bad_text", "It has no words."), new ChannelError("failed", "")];
  assistant.ask("one");
  await settle();
  assert.equal(assistant.conversation.pending[0]?.reason, "It has no words.");
  assistant.tryNow();
  await settle();
  assert.equal(assistant.conversation.pending[0]?.reason, "It failed.");
  assistant.tryNow();
  await settle();
  assert.equal(assistant.conversation.pending.length, 0);
});

test("several replies of one turn are told together", async () => {
  const { channel, assistant, told } = build();
  channel.answers = [[reply("a"), reply("b")]];
  assistant.ask("one");
  await settle();
  assert.deepEqual(told.map((replies) => replies.length), [2]);
});

test("what another tab asked appears here, and only once", async () => {
  const { channel, assistant, told } = build();
  const turn: Message[] = [{ id: "q", from: "user", text: "x", time: 1 }, reply("a")];
  channel.events?.turn(turn);
  channel.events?.turn(turn);
  assert.equal(assistant.conversation.said.length, 2);
  assert.equal(told.length, 1);
});

test("history after a reload is no news, history after a lost connection is", async () => {
  const { channel, told } = build();
  channel.past = [{ id: "q", from: "user", text: "x", time: 1 }, reply("a")];
  channel.events?.connected();
  await settle();
  assert.equal(told.length, 0);
  channel.events?.disconnected();
  channel.past = [...channel.past, reply("b")];
  channel.events?.connected();
  await settle();
  assert.deepEqual(told.map((replies) => replies.map((item) => item.id)), [["b"]]);
});

test("a session that ended keeps the question that was being asked", async () => {
  const { channel, assistant, notices } = build();
  channel.events?.turn([{ id: "q", from: "user", text: "x", time: 1 }, reply("a")]);
  assistant.ask("two");
  channel.events?.ended();
  assert.deepEqual(notices, ["ended"]);
  assert.equal(assistant.conversation.said.length, 0);
  await settle();
  assert.equal(assistant.conversation.said.length, 2);
});

test("a rating that cannot be saved is taken back and said", async () => {
  const { channel, assistant, notices } = build();
  assistant.conversation.add([reply("a")]);
  channel.rate = async () => {
    throw new ChannelError("failed", "");
  };
  await assistant.rate(assistant.conversation.lastReply ?? assert.fail(), "up");
  assert.equal(assistant.conversation.lastReply?.feedback, null);
  assert.deepEqual(notices, ["feedback_failed"]);
});
