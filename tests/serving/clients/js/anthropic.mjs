// Anthropic's JavaScript client and the gateway.

import Anthropic from "@anthropic-ai/sdk";

import { apiKey, given, origin, refusal, run } from "./scenario.mjs";

const client = new Anthropic({ baseURL: origin, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "How warm is it in Zürich?" }];
const ask = { model: given.model, messages, max_tokens: 500 };

await run({
  async whole() {
    const { data, response } = await client.messages.create(ask).withResponse();
    return {
      content: data.content,
      stop: data.stop_reason,
      usage: data.usage,
      requestId: data._request_id,
      ids: ["request-id", "x-sluice-request-id"].map((name) => response.headers.get(name)),
    };
  },

  async stream() {
    const stream = client.messages.stream(ask);
    const kinds = [];
    let text = "";
    stream.on("streamEvent", (event) => kinds.push(event.type));
    stream.on("text", (delta) => (text += delta));
    const final = await stream.finalMessage();
    return { kinds, text, content: final.content, stop: final.stop_reason, usage: final.usage };
  },

  async tools() {
    const wanted = { ...ask, tools: given.tools, system: "Be brief." };
    const whole = await client.messages.create(wanted);
    const stream = client.messages.stream(wanted);
    let pieces = "";
    stream.on("inputJson", (delta) => (pieces += delta));
    const streamed = await stream.finalMessage();
    return { contents: [whole.content, streamed.content], pieces, stop: streamed.stop_reason };
  },

  async toolRunner() {
    const calls = [];
    const weather = {
      ...given.tools[0],
      parse: (args) => args,
      run: (args) => {
        calls.push(args);
        return "31";
      },
    };
    const answers = [];
    for (const stream of [false, true]) {
      const runner = client.beta.messages.toolRunner({ ...ask, tools: [weather], stream });
      const final = await runner.runUntilDone();
      answers.push(final.content);
    }
    return { calls, answers };
  },

  async errors() {
    const stranger = new Anthropic({ baseURL: origin, apiKey: "none", maxRetries: 0 });
    const create = (model, more = {}) => client.messages.create({ ...ask, model, ...more });
    return {
      stranger: await refusal(() => stranger.messages.create(ask)),
      missing: await refusal(() => create("gpt-99")),
      failed: await refusal(() => create("unreachable")),
      streamed: await refusal(() => create("unreachable", { stream: true })),
    };
  },

  async broken() {
    let text = "";
    const stream = client.messages.stream(ask);
    stream.on("text", (delta) => (text += delta));
    const error = await refusal(() => stream.finalMessage());
    return { text, error };
  },

  async models() {
    const names = [];
    for await (const model of client.models.list({ limit: 3 })) {
      names.push(model.id);
    }
    return { names, one: await client.models.retrieve(given.model) };
  },
});
