// The official TypeScript SDK against a gateway: runs every call once, prints one JSON object.
//   node sdk.mjs PATH/@anthropic-ai/sdk BASE_URL API_KEY MARKER...
// A marker is a prompt whose call must fail; what it fails with is printed under `errors`.
import { pathToFileURL } from "node:url";

const [folder, baseURL, apiKey, ...markers] = process.argv.slice(2);
const { default: Anthropic } = await import(pathToFileURL(`${folder}/index.mjs`));
const client = new Anthropic({ apiKey, baseURL, maxRetries: 0 });
const tool = { name: "Bash", input_schema: { type: "object", properties: {} } };
const ask = (prompt) => ({
  model: "claude-sonnet-4-6",
  max_tokens: 1000,
  tools: [tool],
  messages: [{ role: "user", content: prompt }],
});

const found = { errors: {} };
found.created = await client.messages.create(ask("hi [[stub:parallel]]"));
const stream = client.messages.stream(ask("hi [[stub:thinking_tool]]"));
found.events = [];
for await (const event of stream) found.events.push(event.type);
found.streamed = await stream.finalMessage();
const { max_tokens, ...counted } = ask("hi");
found.counted = await client.messages.countTokens(counted);
found.models = (await client.models.list({ limit: 1000 })).data;
for (const marker of markers) {
  try {
    await client.messages.create(ask(marker));
  } catch (error) {
    found.errors[marker] = {
      name: error.constructor.name,
      status: error.status,
      type: error.error?.error?.type,
      requestId: error.requestID,
      bodyRequestId: error.error?.request_id,
    };
  }
}
console.log(JSON.stringify(found));
