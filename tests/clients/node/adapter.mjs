// An adapter written from protos/ alone: speaks, as beeps, one for each word.
//
//   node adapter.mjs [ENGINE]
//
// Prints the port that it listens on. SIGTERM: serves what it has to the end, takes nothing new.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTOS = join(dirname(fileURLToPath(import.meta.url)), "../../../protos");
const ENGINE = process.argv[2] ?? "beeps";
const REPLICA = "beeps-1";
const RATES = [8000, 16000];
const MOST_CHARACTERS = 2000;
const MOST_UNSPOKEN = 64;
const CHUNK_SECONDS = 0.2;
const WORD_SECONDS = 0.15;
const { status } = grpc;

const loaded = protoLoader.loadSync(
  ["voicemesh/api/speech/v1/synthesis.proto", "google/rpc/error_details.proto"],
  { includeDirs: [PROTOS], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true },
);
const { SynthesisService } = grpc.loadPackageDefinition(loaded).voicemesh.api.speech.v1;
const NAME = "voicemesh.api.speech.v1.SynthesisService";

// The standard health service, small enough to be written down: one string in, one enum out.
const health = { serving: true };
const HealthService = {
  Check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestDeserialize: (bytes) => ({ service: bytes.subarray(2).toString() }),
    requestSerialize: () => Buffer.alloc(0),
    responseSerialize: ({ serving }) => Buffer.from([0x08, serving ? 1 : 2]),
    responseDeserialize: (bytes) => bytes,
  },
};

function check(call, answer) {
  const { service } = call.request;
  if (["", NAME].includes(service)) answer(null, health);
  else answer({ code: status.NOT_FOUND, details: `no service ${service}` });
}

class Wrong extends Error {
  constructor(code, field, problem) {
    super(field ? `${field}: ${problem}` : problem);
    this.code = code;
    this.details = this.message;
  }
}

const bad = (field, problem) => new Wrong(status.INVALID_ARGUMENT, field, problem);
const early = (field, problem) => new Wrong(status.FAILED_PRECONDITION, field, problem);

/** Checks the first message; returns the rate. */
function rateOf(config) {
  if (config.engine !== ENGINE) {
    throw new Wrong(status.NOT_FOUND, "config.engine", `no engine ${config.engine}, only ${ENGINE}`);
  }
  if (config.voice) throw new Wrong(status.NOT_FOUND, "config.voice", `no voice ${config.voice}`);
  const { encoding, sample_rate_hertz: rate } = config.format ?? {};
  if (encoding !== "ENCODING_LINEAR16") throw bad("config.format.encoding", "must be LINEAR16");
  if (!RATES.includes(rate)) throw bad("config.format.sample_rate_hertz", `is ${rate}`);
  return rate;
}

/** The sound of a sentence: the same text always gives the same samples. */
function soundOf(text, rate) {
  const words = text.trim().split(/\s+/);
  const each = Math.round(WORD_SECONDS * rate);
  const sound = Buffer.alloc(2 * each * words.length);
  words.forEach((word, place) => {
    const hertz = 300 + 40 * (word.length % 12);
    for (let n = 0; n < each; n++) {
      const loud = Math.sin((Math.PI * n) / each) * 8000;
      const sample = Math.round(loud * Math.sin((2 * Math.PI * hertz * n) / rate));
      sound.writeInt16LE(sample, 2 * (place * each + n));
    }
  });
  return sound;
}

/** One reply: what is sent to it, and what it says. */
class Reply {
  constructor(call) {
    this.call = call;
    this.rate = 0;
    this.offset = 0;
    this.last = -1;
    this.waiting = [];
    this.speaking = false;
    this.closed = false;
    this.over = false;
  }

  take(request) {
    if (this.over) return;
    try {
      this.understand(request);
    } catch (error) {
      this.fail(error);
    }
    this.speak();
  }

  understand(request) {
    if (request.message === "config") {
      if (this.rate) throw early("config", "was sent already");
      this.rate = rateOf(request.config);
      this.call.write({ accepted: { replica: REPLICA } });
      return;
    }
    if (!this.rate) throw early("config", "must be the first message");
    if (request.message !== "sentence") throw bad("message", "must be set");
    this.waiting.push(this.checked(request.sentence));
  }

  checked({ sentence, text }) {
    const length = [...text].length;
    if (!text.trim() || length > MOST_CHARACTERS) throw bad("sentence.text", `${length} characters`);
    if (sentence <= this.last) throw bad("sentence.sentence", `is ${sentence}, must be > ${this.last}`);
    if (this.waiting.length >= MOST_UNSPOKEN) {
      throw new Wrong(status.RESOURCE_EXHAUSTED, "", `${MOST_UNSPOKEN} sentences are not spoken yet`);
    }
    this.last = sentence;
    return { sentence, text, since: performance.now() };
  }

  close() {
    this.closed = true;
    if (!this.rate && !this.over) this.fail(early("config", "must be the first message"));
    this.speak();
  }

  /** Says what waits, as fast as it is read. */
  async speak() {
    if (this.speaking || this.over) return;
    this.speaking = true;
    while (this.waiting.length && !this.over) {
      await this.say(this.waiting[0]);
      this.waiting.shift();
    }
    this.speaking = false;
    if (this.closed && !this.over) {
      this.over = true;
      this.call.end();
    }
  }

  async say({ sentence, text, since }) {
    const sound = soundOf(text, this.rate);
    const nanos = Math.round((performance.now() - since) * 1e6) % 1e9;
    const engine_duration = { seconds: 0, nanos };
    await this.write({ started: { sentence, start_offset: this.offset, engine_duration } });
    const step = 2 * Math.round(CHUNK_SECONDS * this.rate);
    for (let at = 0; at < sound.length && !this.over; at += step) {
      const data = sound.subarray(at, at + step);
      await this.write({ audio: { offset: this.offset, data } });
      this.offset += data.length / 2;
    }
    await this.write({ finished: { sentence, end_offset: this.offset } });
  }

  /** Waits where the client does not read. */
  async write(message) {
    if (this.over || this.call.write(message)) return;
    await new Promise((go) => {
      this.go = go;
    });
  }

  fail(error) {
    this.over = true;
    this.call.emit("error", error);
  }
}

function synthesize(call) {
  if (!health.serving) {
    call.emit("error", new Wrong(status.UNAVAILABLE, "", "this replica is draining"));
    return;
  }
  const reply = new Reply(call);
  call.on("data", (request) => reply.take(request));
  call.on("end", () => reply.close());
  call.on("drain", () => reply.go?.());
  call.on("cancelled", () => {
    reply.over = true;
    reply.go?.();
  });
  call.on("error", () => {});
}

const server = new grpc.Server();
server.addService(SynthesisService.service, { Synthesize: synthesize });
server.addService(HealthService, { Check: check });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
process.on("SIGTERM", () => {
  health.serving = false;
  server.tryShutdown(() => process.exit(0));
});
