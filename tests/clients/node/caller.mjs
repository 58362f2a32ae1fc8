// A caller written from protos/ alone: places a call, says recordings, listens, hangs up.
//
//   node caller.mjs ADDRESS BOT WAV...
//
// Waits for the greeting, then for each recording (16 bit, mono, 8000 or 16000 Hz, all of one
// rate) says it in real time and waits for the bot's answer. Prints one JSON document.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTOS = join(dirname(fileURLToPath(import.meta.url)), "../../../protos");
const FRAME_MS = 20;
const QUIET_MS = 700; // the bot has finished when nothing came from it for so long
const GREETING_MS = 3000; // a bot may have no greeting
const REPLY_MS = 20000;
const LINEAR16 = "ENCODING_LINEAR16";

const now = () => performance.now();

function callService() {
  const definition = protoLoader.loadSync("voicemesh/api/call/v1/call.proto", {
    includeDirs: [PROTOS],
    keepCase: true,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  return grpc.loadPackageDefinition(definition).voicemesh.api.call.v1.CallService;
}

/** Reads the samples of a WAV file: { rate, data }. */
function readWav(path) {
  const file = readFileSync(path);
  let rate = 0;
  for (let at = 12; at + 8 <= file.length; ) {
    const name = file.toString("latin1", at, at + 4);
    const size = file.readUInt32LE(at + 4);
    if (name === "fmt ") {
      const [channels, bits] = [file.readUInt16LE(at + 10), file.readUInt16LE(at + 22)];
      if (channels !== 1 || bits !== 16) throw new Error(`${path}: not 16 bit mono`);
      rate = file.readUInt32LE(at + 12);
    }
    if (name === "data") return { rate, data: file.subarray(at + 8, at + 8 + size) };
    at += 8 + size + (size % 2);
  }
  throw new Error(`${path}: no samples`);
}

/** One call: sends 20 ms every 20 ms, speech if there is any and silence if not. */
class Caller {
  constructor(stream, rate) {
    this.stream = stream;
    this.frame = (rate * FRAME_MS) / 1000;
    this.offset = 0;
    this.speech = [];
    this.bytesHeard = 0;
    this.lastHeard = -Infinity;
    this.transcripts = [];
    this.turns = [];
    this.latencies = [];
    this.clears = 0;
    this.spokenAt = null;
    this.over = false;
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    stream.on("data", (message) => this.take(message));
    stream.on("error", (error) => this.end(() => this.reject(error)));
    stream.on("end", () => this.end(() => this.resolve()));
  }

  begin(bot, format) {
    this.stream.write({ start: { bot, caller_format: format, bot_format: format } });
    this.begun = now();
    this.timer = setInterval(() => this.tick(), FRAME_MS / 4);
  }

  end(settle) {
    this.over = true;
    clearInterval(this.timer);
    settle();
  }

  /** Sends every frame that is due: a late timer delays none of the following ones. */
  tick() {
    while (!this.over && now() >= this.begun + (this.offset / this.frame) * FRAME_MS) {
      const data = this.speech.shift() ?? Buffer.alloc(2 * this.frame);
      this.stream.write({ audio: { offset: this.offset, data } });
      this.offset += this.frame;
    }
  }

  take(message) {
    switch (message.message) {
      case "started":
        this.started = message.started;
        break;
      case "audio":
        this.bytesHeard += message.audio.data.length;
        this.lastHeard = now();
        if (this.spokenAt !== null) {
          this.latencies.push(Math.round(this.lastHeard - this.spokenAt));
          this.spokenAt = null;
        }
        break;
      case "clear":
        this.clears += 1;
        break;
      case "transcript":
        if (message.transcript.final) this.transcripts.push(message.transcript);
        break;
      case "turn":
        this.turns.push(message.turn);
        break;
      case "ended":
        this.ended = message.ended;
        break;
    }
  }

  async say(data) {
    const bytes = 2 * this.frame;
    for (let at = 0; at < data.length; at += bytes) {
      const frame = Buffer.alloc(bytes);
      data.copy(frame, 0, at, at + bytes);
      this.speech.push(frame);
    }
    await this.until(() => this.speech.length === 0, Infinity);
    this.spokenAt = now();
  }

  /** Waits until the bot has spoken since `since`, and then has been quiet. */
  async listen(since, deadlineMs, required) {
    const answered = await this.until(() => this.lastHeard >= since, deadlineMs);
    if (!answered && required && !this.over) throw new Error("the bot did not answer");
    await this.until(() => now() - this.lastHeard >= QUIET_MS, Infinity);
  }

  async until(holds, deadlineMs) {
    const deadline = now() + deadlineMs;
    while (!this.over && !holds() && now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS / 4));
    }
    return holds();
  }

  hangUp() {
    if (!this.over) {
      this.stream.write({ hang_up: {} });
      this.stream.end();
      clearInterval(this.timer);
    }
  }
}

const milliseconds = (duration) =>
  duration ? duration.seconds * 1000 + duration.nanos / 1e6 : null;

function report(caller) {
  return {
    call_id: caller.started?.call_id,
    gateway: caller.started?.replica,
    transcripts: caller.transcripts.map(({ speaker, text, turn }) => ({ speaker, text, turn })),
    turns: caller.turns.map((turn) => ({
      turn: turn.turn,
      caller_text: turn.caller_text,
      total_ms: milliseconds(turn.total),
      stages: turn.stages.map(({ stage, duration }) => ({ stage, ms: milliseconds(duration) })),
    })),
    latencies_ms: caller.latencies,
    bot_audio_bytes: caller.bytesHeard,
    clears: caller.clears,
    ended: caller.ended?.reason,
    journal_entries: caller.ended?.journal.length ?? 0,
  };
}

async function main([address, bot, ...paths]) {
  if (!address || !bot) throw new Error("usage: node caller.mjs ADDRESS BOT WAV...");
  const clips = paths.map(readWav);
  const rate = clips[0]?.rate ?? 8000;
  const client = new (callService())(address, grpc.credentials.createInsecure());
  const caller = new Caller(client.Converse(), rate);
  caller.done.catch(() => {}); // awaited below, after the script
  caller.begin(bot, { encoding: LINEAR16, sample_rate_hertz: rate });
  await caller.listen(0, GREETING_MS, false);
  for (const clip of clips) {
    await caller.say(clip.data);
    await caller.listen(now(), REPLY_MS, true);
  }
  caller.hangUp();
  await caller.done;
  client.close();
  console.log(JSON.stringify(report(caller), null, 1));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.details ?? error.message);
  process.exit(1);
});
