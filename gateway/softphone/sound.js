// The audio thread: microphone to 20 ms of 16-bit PCM at 16 kHz, and back to the loudspeaker.
//
// The context runs at whatever rate the machine has, because not every browser resamples a
// microphone; so both ways are resampled here.

const RATE = 16000;
const FRAME = RATE / 50;
const MOST_SECONDS = 60;
const REPORT_SECONDS = 0.05;

const FINENESS = 256;

// Half of a windowed sinc, FINENESS values for each input sample.
function kernel(half, cut) {
  return Float32Array.from({ length: half * FINENESS + 2 }, (_, i) => {
    const x = i / FINENESS;
    const angle = Math.PI * x * cut;
    const sinc = x === 0 ? 1 : Math.sin(angle) / angle;
    return x >= half ? 0 : cut * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / half));
  });
}

// Band-limited interpolation between any two rates; keeps its state.
class Resampler {
  constructor(from, to) {
    this.step = from / to;
    this.half = Math.ceil(16 * Math.max(1, this.step));
    this.kernel = kernel(this.half, Math.min(1, to / from) * 0.92);
    this.past = new Float32Array(2 * this.half);
    this.at = this.half;
  }

  process(input) {
    const data = new Float32Array(this.past.length + input.length);
    data.set(this.past);
    data.set(input, this.past.length);
    const out = [];
    for (; this.at + this.half < data.length; this.at += this.step) out.push(this.value(data));
    const keep = Math.max(0, Math.floor(this.at) - this.half);
    this.past = data.slice(keep);
    this.at -= keep;
    return Float32Array.from(out);
  }

  value(data) {
    let sum = 0;
    for (let i = Math.ceil(this.at - this.half); i <= this.at + this.half; i += 1) {
      const place = Math.abs(i - this.at) * FINENESS;
      const whole = Math.floor(place);
      const low = this.kernel[whole];
      sum += data[i] * (low + (this.kernel[whole + 1] - low) * (place - whole));
    }
    return sum;
  }
}

// Tells how loud it is, a few times a second.
class Meter {
  constructor(port) {
    this.port = port;
    this.sum = 0;
    this.count = 0;
  }

  take(samples) {
    for (const sample of samples) this.sum += sample * sample;
    this.count += samples.length;
    if (this.count < sampleRate * REPORT_SECONDS) return;
    this.port.postMessage({ level: Math.sqrt(this.sum / this.count) });
    this.sum = 0;
    this.count = 0;
  }
}

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.meter = new Meter(this.port);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
  }

  process([input]) {
    // Without a source the channel is missing; silence keeps the call's clock going.
    const samples = input[0] || new Float32Array(128);
    this.meter.take(samples);
    for (const sample of this.resampler.process(samples)) this.add(sample);
    return true;
  }

  add(sample) {
    this.frame[this.filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
    this.filled += 1;
    if (this.filled < FRAME) return;
    this.port.postMessage({ pcm: this.frame.buffer }, [this.frame.buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
  }
}

class Loudspeaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.meter = new Meter(this.port);
    this.queued = 0;
    this.drop();
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take({ pcm, mark, clear }) {
    if (clear) {
      this.drop();
      this.port.postMessage({ cleared: true });
    } else if (mark !== undefined) {
      this.queue.push({ mark });
    } else {
      const samples = Float32Array.from(new Int16Array(pcm), (value) => value / 32768);
      this.add(this.resampler.process(samples));
    }
  }

  add(samples) {
    if (this.queued + samples.length > MOST_SECONDS * sampleRate) {
      this.port.postMessage({ overrun: true });
      return;
    }
    this.queued += samples.length;
    this.queue.push({ samples, from: 0 });
  }

  drop() {
    this.queue = [];
    this.queued = 0;
    this.resampler = new Resampler(RATE, sampleRate);
  }

  process(_, [output]) {
    const channel = output[0];
    let filled = 0;
    while (this.queue.length && (filled < channel.length || this.queue[0].mark !== undefined)) {
      const { mark, samples, from } = this.queue[0];
      if (mark !== undefined) {
        this.port.postMessage({ mark });
        this.queue.shift();
        continue;
      }
      const part = samples.subarray(from, from + channel.length - filled);
      channel.set(part, filled);
      filled += part.length;
      this.queue[0].from += part.length;
      if (this.queue[0].from === samples.length) this.queue.shift();
    }
    this.queued -= filled;
    for (const other of output.slice(1)) other.set(channel);
    this.meter.take(channel);
    return true;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("loudspeaker", Loudspeaker);
