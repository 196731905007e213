// OpenAI's JavaScript client and the gateway.

import OpenAI from "openai";

import { apiKey, given, origin, refusal, run } from "./scenario.mjs";

const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
const { completions } = client.chat;
const messages = [{ role: "user", content: "How warm is it in Zürich?" }];
const ask = { model: given.model, messages };

await run({
  async whole() {
    const { data, response } = await completions.create(ask).withResponse();
    return {
      text: data.choices[0].message.content,
      finish: data.choices[0].finish_reason,
      tokens: data.usage.total_tokens,
      requestId: data._request_id,
      ids: ["x-request-id", "x-sluice-request-id"].map((name) => response.headers.get(name)),
      action: response.headers.get("x-sluice-action"),
    };
  },

  async stream() {
    const stream = await completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    const found = { text: "", roles: [], finish: null, tokens: null, ids: [], usages: 0 };
    for await (const chunk of stream) {
      found.ids.push(chunk.id);
      found.usages += chunk.usage ? 1 : 0;
      found.tokens = chunk.usage?.total_tokens ?? found.tokens;
      for (const choice of chunk.choices) {
        found.text += choice.delta.content ?? "";
        found.roles.push(...(choice.delta.role ? [choice.delta.role] : []));
        found.finish = choice.finish_reason ?? found.finish;
      }
    }
    return { ...found, ids: new Set(found.ids).size };
  },

  async helper() {
    const stream = completions.stream({ ...ask, tools: given.tools });
    const done = [];
    stream.on("tool_calls.function.arguments.done", (event) => done.push(event));
    let deltas = "";
    stream.on("content", (delta) => (deltas += delta));
    const final = await stream.finalChatCompletion();
    return { done, deltas, choice: final.choices[0] };
  },

  async parse() {
    const wanted = { ...ask, response_format: given.responseFormat };
    const whole = await completions.parse(wanted);
    const streamed = await completions.stream(wanted).finalChatCompletion();
    return [whole, streamed].map((found) => found.choices[0].message.parsed);
  },

  async runTools() {
    const calls = [];
    const { parameters } = given.tools[0].function;
    const weather = {
      type: "function",
      function: {
        name: "weather",
        description: "The weather of some days.",
        parameters,
        parse: JSON.parse,
        function: (args) => {
          calls.push(args);
          return "31";
        },
      },
    };
    const answers = [];
    for (const stream of [false, true]) {
      const runner = completions.runTools({ ...ask, stream, tools: [weather] });
      answers.push(await runner.finalContent());
    }
    return { calls, answers };
  },

  async choices() {
    const stream = completions.stream({ ...ask, n: 2, logprobs: true });
    const final = await stream.finalChatCompletion();
    return final.choices.map((choice) => ({
      text: choice.message.content,
      finish: choice.finish_reason,
      logprobs: choice.logprobs?.content?.map((one) => one.logprob) ?? null,
    }));
  },

  async errors() {
    const stranger = new OpenAI({ baseURL: `${origin}/v1`, apiKey: "none", maxRetries: 0 });
    const create = (model, more = {}) => completions.create({ model, messages, ...more });
    return {
      stranger: await refusal(() => stranger.chat.completions.create(ask)),
      missing: await refusal(() => create("gpt-99")),
      wrong: await refusal(() => create(given.model, { messages: [{ role: "user", content: 7 }] })),
      failed: await refusal(() => create("unreachable")),
      streamed: await refusal(() => create("unreachable", { stream: true })),
    };
  },

  async broken() {
    let text = "";
    const error = await refusal(async () => {
      for await (const chunk of await completions.create({ ...ask, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? "";
      }
    });
    return { text, error };
  },

  async retried() {
    const patient = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 2 });
    const found = await patient.chat.completions.create(ask);
    return found.choices[0].message.content;
  },

  async leave() {
    const stream = await completions.create({ ...ask, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) {
        break; // which ends the request
      }
    }
    return null;
  },

  async models() {
    const names = [];
    for await (const model of client.models.list()) {
      names.push(model.id);
    }
    return { names, one: await client.models.retrieve(given.model) };
  },

  async embeddings() {
    const input = ["one", "two"];
    const found = await client.embeddings.create({ model: given.model, input });
    return { vectors: found.data.map((one) => one.embedding), usage: found.usage };
  },
});
