// A caller written from protos/ alone: places a call, says recordings, listens, hangs up.
//
//   node caller.mjs ADDRESS,... BOT WAV...
//
// Waits for the greeting, then for each recording (16 bit, mono, 8000 or 16000 Hz, all of one
// rate) says it in real time and waits for the bot's answer. Prints one JSON document. When the
// gateway dies or wants to go, it takes the call to another one.

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
const RESUME_MS = 8000; // how long a call may be without a gateway
const KEPT_SECONDS = 30;
const SILENT_BEATS = 2; // heartbeats that a gateway may be late by
const OWN_LATENESS_MS = 100; // a tick later than this says nothing of the gateway
const CHANNEL = {
  "grpc.use_local_subchannel_pool": 1,
  "grpc.keepalive_time_ms": 1000,
  "grpc.keepalive_timeout_ms": 500,
};
// After these a call is not resumed: another gateway would say the same.
const FINAL = new Set([
  grpc.status.UNAUTHENTICATED,
  grpc.status.PERMISSION_DENIED,
  grpc.status.INVALID_ARGUMENT,
  grpc.status.FAILED_PRECONDITION,
  grpc.status.NOT_FOUND,
]);
const LINEAR16 = "ENCODING_LINEAR16";

const now = () => performance.now();

let service;

function callService() {
  if (service) return service;
  const definition = protoLoader.loadSync("voicemesh/api/call/v1/call.proto", {
    includeDirs: [PROTOS],
    keepCase: true,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  service = grpc.loadPackageDefinition(definition).voicemesh.api.call.v1.CallService;
  return service;
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

/** How the edge is believed, and what it is shown: VOICEMESH_CA and VOICEMESH_TOKEN. */
function credentials() {
  const { VOICEMESH_CA: ca, VOICEMESH_TOKEN: token } = process.env;
  if (!ca) return grpc.credentials.createInsecure();
  const encrypted = grpc.credentials.createSsl(readFileSync(ca));
  if (!token) return encrypted;
  const shown = grpc.credentials.createFromMetadataGenerator((_, give) => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    give(null, metadata);
  });
  return grpc.credentials.combineChannelCredentials(encrypted, shown);
}

/** One stream to a gateway, over a connection of its own. */
class Line {
  constructor(caller, address) {
    this.caller = caller;
    this.client = new (callService())(address, credentials(), CHANNEL);
    this.stream = this.client.Converse();
    this.next = Infinity; // which of what the caller has kept is sent next; none before it stands
    this.version = caller.version;
    this.attempt = caller.attempt;
    this.stream.on("data", (message) => caller.came(this, message));
    this.stream.on("error", (error) => caller.lineEnded(this, error));
    this.stream.on("end", () => caller.lineEnded(this, null));
  }

  /** Whether another stream would end in the same way. */
  isFinal(error) {
    // A call is taken over by a later attempt: somebody else's, if there was none of ours.
    const taken = error?.code === grpc.status.ABORTED && this.attempt === this.caller.attempt;
    return taken || FINAL.has(error?.code);
  }

  close() {
    this.stream.removeAllListeners("data");
    this.stream.cancel();
    this.client.close();
  }
}

/** One call: sends 20 ms every 20 ms, speech if there is any and silence if not. */
class Caller {
  constructor(addresses, bot, format) {
    this.addresses = addresses;
    this.start = { bot, caller_format: format, bot_format: format, resumable: true };
    this.rate = format.sample_rate_hertz;
    this.frame = (this.rate * FRAME_MS) / 1000;
    this.offset = 0;
    this.speech = [];
    this.bytesHeard = 0;
    this.received = 0; // bot offset
    this.heardUntil = 0; // when what was received will have been heard
    this.lastHeard = -Infinity;
    this.transcripts = [];
    this.turns = [];
    this.latencies = [];
    this.clears = 0;
    this.spokenAt = null;
    this.over = false;
    this.resumes = [];
    // What a gateway gave us to resume with, and what we sent until it is not wanted any more.
    this.segments = [];
    this.version = 0;
    this.kept = [];
    this.dropped = 0;
    this.committed = 0;
    this.lines = new Set();
    this.attempt = 0;
    this.seeking = null;
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  begin() {
    this.line = new Line(this, this.addresses[0]);
    this.lines.add(this.line);
    this.line.stream.write({ start: this.start });
    this.line.next = 0;
    this.begun = now();
    this.timer = setInterval(() => this.tick(), FRAME_MS / 4);
  }

  end(settle) {
    if (this.over) return;
    this.over = true;
    clearInterval(this.timer);
    for (const line of this.lines) line.close();
    settle();
  }

  /** Takes every frame that is due: a late timer delays none of the following ones. */
  tick() {
    this.listenForSilence();
    while (!this.hungUp && now() >= this.begun + (this.offset / this.frame) * FRAME_MS) {
      const data = this.speech.shift() ?? Buffer.alloc(2 * this.frame);
      this.kept.push({ audio: { offset: this.offset, data } });
      this.offset += this.frame;
    }
    this.forget();
    this.send();
    this.seek();
  }

  /** Forgets what will not be wanted again, and whatever is older than half a minute. */
  forget() {
    // A gateway that is being asked was told what can be sent again.
    const committed = this.seeking ? 0 : this.committed;
    const needed = Math.max(committed, this.offset - KEPT_SECONDS * this.rate);
    while (this.kept[0]?.audio && this.kept[0].audio.offset + this.frame <= needed) {
      this.kept.shift();
      this.dropped += 1;
    }
  }

  send() {
    const line = this.line;
    if (!line) return;
    for (line.next = Math.max(line.next, this.dropped); ; line.next += 1) {
      const message = this.kept[line.next - this.dropped];
      if (!message) return;
      if (message.audio && message.audio.offset < (line.wanted ?? 0)) continue;
      line.stream.write(message);
      if (message.hang_up) line.stream.end();
    }
  }

  /** Takes a gateway for dead that has said nothing for too long, if the call can go on without. */
  listenForSilence() {
    const line = this.line;
    const late = now() - (this.tickedAt ?? now());
    this.tickedAt = now();
    if (!line?.silenceMs || !this.segments.length || this.ended) return;
    if (late > OWN_LATENESS_MS) line.spokeAt = Math.min(line.spokeAt + late, now());
    if (now() - line.spokeAt < line.silenceMs) return;
    line.close();
    this.lineEnded(line, null);
  }

  came(line, message) {
    line.spokeAt = now();
    if (message.message === "started") {
      line.silenceMs = SILENT_BEATS * (milliseconds(message.started.heartbeat) ?? 0);
      if (line !== this.line) return this.switchTo(line, message);
    }
    if (line === this.line) this.take(message);
  }

  lineEnded(line, error) {
    const known = this.lines.delete(line);
    line.client.close();
    if (this.over || !known) return;
    const lost = error ?? new Error("the call broke off");
    if (this.ended && line === this.line) return this.end(this.resolve);
    if (line.isFinal(error) && (line === this.line || !this.line)) {
      return this.end(() => this.reject(lost));
    }
    if (line !== this.line) {
      if (this.seeking) this.seeking.due = Math.min(this.seeking.due, now() + this.seeking.wait);
      return;
    }
    if (!this.segments.length) return this.end(() => this.reject(lost));
    this.line = null;
    this.seeking = { since: now(), until: now() + RESUME_MS, due: now(), wait: 0 };
    this.seek();
  }

  /** Opens further streams until one stands; those that hang are not waited for. */
  seek() {
    const seeking = this.seeking;
    if (!seeking || this.over) return;
    if (now() > seeking.until) {
      this.seeking = null;
      if (!this.line) this.end(() => this.reject(new Error("the call could not be resumed")));
      return;
    }
    if (now() < seeking.due) return;
    seeking.wait = Math.min(1000, seeking.wait * 2 || 50);
    seeking.due = now() + Math.max(120, seeking.wait);
    this.attempt += 1;
    const line = new Line(this, this.addresses[this.attempt % this.addresses.length]);
    this.lines.add(line);
    const unheard = Math.max(0, this.heardUntil - now());
    line.stream.write({
      start: {
        ...this.start,
        resume: {
          call_id: this.started.call_id,
          segments: this.segments,
          attempt: this.attempt,
          caller_offset: this.offset,
          held_offset: this.kept[0]?.audio?.offset ?? this.offset,
          heard_offset: Math.max(0, this.received - Math.round((unheard / 1000) * this.rate)),
          arrived_offset: this.received,
        },
      },
    });
  }

  switchTo(line, { started }) {
    if (!this.seeking || (this.line && line.version !== this.version)) return line.close();
    this.resumes.push({ gateway: started.replica, ms: Math.round(now() - this.seeking.since) });
    this.seeking = null;
    this.line?.stream.end({ leave: {} });
    this.line = line;
    for (const other of this.lines) if (other !== line && other.next === Infinity) other.close();
    line.wanted = started.wanted_offset;
    line.next = 0;
    this.send();
  }

  take(message) {
    switch (message.message) {
      case "started":
        this.started = message.started;
        break;
      case "resume":
        this.remember(message.resume);
        break;
      case "go_away":
        this.seeking ??= {
          since: now(),
          until: now() + milliseconds(message.go_away.deadline),
          due: now(),
          wait: 0,
        };
        break;
      case "audio":
        this.hear(message.audio);
        break;
      case "clear":
        this.clears += 1;
        this.received = Math.min(this.received, message.clear.offset);
        this.heardUntil = Math.min(this.heardUntil, now());
        break;
      case "transcript":
        if (message.transcript.final) this.note(message.transcript);
        break;
      case "turn":
        this.turns.push(message.turn);
        break;
      case "ended":
        this.ended = message.ended;
        break;
    }
  }

  remember({ segment, restarts, committed_offset }) {
    if (restarts) this.segments = [];
    if (segment.length) this.segments.push(segment);
    if (restarts || segment.length) this.version += 1;
    this.committed = Math.max(this.committed, committed_offset);
  }

  /** Takes bot audio; after a resume some of it may come a second time. */
  hear({ offset, data }) {
    const known = Math.min(Math.max(0, this.received - offset) * 2, data.length);
    if (known === data.length) return;
    this.bytesHeard += data.length - known;
    this.received = offset + data.length / 2;
    const seconds = (data.length - known) / 2 / this.rate;
    this.heardUntil = Math.max(this.heardUntil, now()) + 1000 * seconds;
    this.lastHeard = now();
    if (this.spokenAt !== null) {
      this.latencies.push(Math.round(this.lastHeard - this.spokenAt));
      this.spokenAt = null;
    }
  }

  note(words) {
    const same = ({ speaker, text, turn }) =>
      speaker === words.speaker && text === words.text && turn === words.turn;
    if (!this.resumes.length || !this.transcripts.some(same)) this.transcripts.push(words);
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
      this.hungUp = true;
      this.kept.push({ hang_up: {} });
      this.send();
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
    resumes: caller.resumes,
    ended: caller.ended?.reason,
    journal_entries: caller.ended?.journal.length ?? 0,
  };
}

async function main([addresses, bot, ...paths]) {
  if (!addresses || !bot) throw new Error("usage: node caller.mjs ADDRESS,... BOT WAV...");
  const clips = paths.map(readWav);
  const rate = clips[0]?.rate ?? 8000;
  const format = { encoding: LINEAR16, sample_rate_hertz: rate };
  const caller = new Caller(addresses.split(","), bot, format);
  caller.done.catch(() => {}); // awaited below, after the script
  caller.begin();
  await caller.listen(0, GREETING_MS, false);
  for (const clip of clips) {
    await caller.say(clip.data);
    await caller.listen(now(), REPLY_MS, true);
  }
  caller.hangUp();
  await caller.done;
  console.log(JSON.stringify(report(caller), null, 1));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.details ?? error.message);
  process.exit(1);
});
