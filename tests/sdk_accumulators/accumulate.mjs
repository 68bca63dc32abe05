// What the official TypeScript SDK makes of streams; prints one JSON object.
//   node accumulate.mjs PATH/@anthropic-ai/sdk BASE_URL NAME...
// For each name: { stable, beta }, each { message } or { error }.
import { pathToFileURL } from "node:url";

const [folder, baseURL, ...names] = process.argv.slice(2);
const { default: Anthropic } = await import(pathToFileURL(`${folder}/index.mjs`));
const ask = { model: "claude-sonnet-4-6", max_tokens: 100, messages: [{ role: "user", content: "hi" }] };

const accumulate = async (messages) => {
  try {
    return { message: await messages.stream(ask).finalMessage() };
  } catch (error) {
    return { error: { name: error.constructor.name, message: String(error.message), body: error.error } };
  }
};

const found = {};
for (const name of names) {
  const client = new Anthropic({ apiKey: "k", baseURL: `${baseURL}/${name}`, maxRetries: 0 });
  found[name] = { stable: await accumulate(client.messages), beta: await accumulate(client.beta.messages) };
}
console.log(JSON.stringify(found));
