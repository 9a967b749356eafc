/**
 * A dialogue by OpenAI's agents SDK, on its default settings: a tool, a spoken turn, an interruption.
 *
 *   node talk.mjs URL SPEECH    SPEECH: a file of 16-bit PCM, 24 kHz
 *
 * Prints as JSON what the SDK made of it.
 */
import { readFile } from "node:fs/promises";
import { RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";

const [url, speechFile] = process.argv.slice(2);
const speech = await readFile(speechFile);
const PIECE_BYTES = 4800;
/** Longer than the short replies sound: who speaks earlier cuts them. */
const HEARD_MS = 1500;
const errors = [];
const cities = [];
let interruptions = 0;

const agent = new RealtimeAgent({
  name: "Weather",
  instructions: "Tell the weather.",
  tools: [
    tool({
      name: "look_up",
      description: "The weather of a city.",
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
        additionalProperties: false,
      },
      strict: false,
      execute: async ({ city }) => {
        cities.push(city);
        return "rain";
      },
    }),
  ],
});
const session = new RealtimeSession(agent, { transport: "websocket", tracingDisabled: true });
session.on("error", ({ error }) => errors.push(error));
session.on("audio_interrupted", () => interruptions++);

const next = (event) => new Promise((resolve) => session.once(event, (...values) => resolve(values)));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Until a reply ends whose text has these words. */
async function hear(words) {
  for (;;) {
    const [, , text] = await next("agent_end");
    if (text.includes(words)) return;
  }
}

function speak() {
  for (let start = 0; start < speech.length; start += PIECE_BYTES) {
    const piece = speech.subarray(start, start + PIECE_BYTES);
    session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
  }
}

await session.connect({ apiKey: "unused", url });

const rain = hear("It rains");
session.sendMessage("How is the weather in Kyoto?");
await rain;
await pause(HEARD_MS);

const hello = hear("Hello to you");
speak();
await hello;
await pause(HEARD_MS);

const begun = next("audio_start");
session.sendMessage("Tell me a story.");
await begun;
await pause(HEARD_MS);
const interrupted = next("audio_interrupted");
const fine = hear("Fine");
speak();
await interrupted;
await fine;
await pause(500);

const said = (item) => item.content.map((part) => part.text ?? part.transcript).join("");
const history = session.history.map((item) =>
  item.type === "message" ? [item.role, said(item)] : [item.type, item.arguments],
);
console.log(JSON.stringify({ history, errors, cities, interruptions }));
session.close();
process.exit(0);
