// One call: microphone, WebSocket and loudspeaker joined. It knows no page; what happens is an event:
// `state`, `transcript`, `level`, and once `over` with `{reason, message, failed}`.

const ANSWER_SECONDS = 15;
const STALL_BYTES = 256 * 1024;

// Why a call could not be made, in words for the person who wanted to make it.
export class CallFailed extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

const MICROPHONE = {
  NotAllowedError: ["MICROPHONE_REFUSED", "The browser does not let this page use the microphone. Allow it (in the address bar or in the site's settings) and call again."],
  NotFoundError: ["NO_MICROPHONE", "There is no microphone. Plug one in and call again."],
  NotReadableError: ["MICROPHONE_BUSY", "The microphone cannot be opened; another program may be using it."],
};

// How a socket's close reads to a person; its own reason says more where there is one.
const CLOSED = {
  1006: "The connection was lost.",
  1008: "The call was refused.",
  1011: "Something went wrong on the other side.",
  1013: "All lines are busy. Try again in a moment.",
};

// What the bot's side says at the end, in plain words.
const ENDED = {
  bot_hung_up: "The bot hung up.",
  caller_hung_up: "You hung up.",
  transferred: "The call was handed over to somebody else, which a browser cannot follow.",
};

async function openMicrophone(processing) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new CallFailed("INSECURE_PAGE", "Browsers open the microphone only on https:// pages and on localhost. Open this page that way.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1,
        echoCancellation: processing,
        noiseSuppression: processing,
        autoGainControl: processing,
      },
    });
  } catch (error) {
    const [reason, message] = MICROPHONE[error.name] || ["MICROPHONE_FAILED", `The microphone cannot be opened: ${error.message}`];
    throw new CallFailed(reason, message);
  }
}

export class Call extends EventTarget {
  // url: address (ws or wss) of the socket. start: fields of the `start` message.
  // processing: whether the browser cancels echo and noise; not needed with headphones.
  constructor({ url, start, processing = true }) {
    super();
    this.url = url;
    this.start = start;
    this.processing = processing;
    this.finished = false;
    this.sent = 0;
    this.received = 0;
  }

  async place() {
    try {
      this.tell("state", "microphone");
      this.stream = await openMicrophone(this.processing);
      for (const track of this.stream.getTracks()) {
        track.onended = () => this.finish("MICROPHONE_GONE", "The microphone was unplugged or taken away.", true);
      }
      await this.openSound();
      if (!this.finished) this.connect();
    } catch (error) {
      const known = error instanceof CallFailed;
      this.finish(known ? error.reason : "FAILED", known ? error.message : `The call could not be made: ${error.message}`, true);
    }
  }

  press(digit) {
    this.write({ type: "digit", digit });
  }

  mute(on) {
    for (const track of this.stream?.getTracks() ?? []) track.enabled = !on;
  }

  hangUp() {
    this.write({ type: "hang_up" });
    this.finish("caller_hung_up", ENDED.caller_hung_up, false);
  }

  async openSound() {
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.audioWorklet.addModule(new URL("sound.js", import.meta.url));
    await this.context.resume();
    this.loudspeaker = new AudioWorkletNode(this.context, "loudspeaker", { numberOfInputs: 0, outputChannelCount: [1] });
    this.loudspeaker.port.onmessage = ({ data }) => this.played(data);
    this.loudspeaker.connect(this.context.destination);
    this.microphone = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    this.microphone.port.onmessage = ({ data }) => this.heard(data);
    this.context.createMediaStreamSource(this.stream).connect(this.microphone);
  }

  connect() {
    this.tell("state", "connecting");
    this.socket = new WebSocket(this.url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.write({ type: "start", ...this.start });
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.told(JSON.parse(data)) : this.play(data));
    this.socket.onclose = (event) => this.closed(event);
    this.late = setTimeout(() => this.finish("NO_ANSWER", `Nobody answered within ${ANSWER_SECONDS} seconds.`, true), ANSWER_SECONDS * 1000);
  }

  heard({ pcm, level }) {
    if (level !== undefined) this.tell("level", { microphone: level });
    if (!pcm || !this.started || this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > STALL_BYTES) {
      this.finish("TOO_SLOW", "The network is too slow for a call.", true);
      return;
    }
    this.socket.send(pcm);
    this.sent += 1;
  }

  play(pcm) {
    this.received += 1;
    this.loudspeaker.port.postMessage({ pcm }, [pcm]);
  }

  played({ mark, cleared, level, overrun }) {
    if (level !== undefined) this.tell("level", { loudspeaker: level });
    if (mark !== undefined) this.write({ type: "mark", name: mark });
    if (cleared) this.write({ type: "cleared" });
    if (overrun) this.finish("OVERRUN", "The other side sent more sound than can be played.", true);
  }

  told(message) {
    switch (message.type) {
      case "started":
        clearTimeout(this.late);
        this.started = true;
        this.tell("state", "talking");
        break;
      case "mark":
        this.loudspeaker.port.postMessage({ mark: message.name });
        break;
      case "clear":
        this.loudspeaker.port.postMessage({ clear: true });
        break;
      case "transcript":
        this.tell("transcript", message);
        break;
      case "ended":
        // The socket closes once what was said last has been played.
        this.reason = message.reason;
        break;
    }
  }

  closed({ code, reason }) {
    if (this.reason !== undefined) {
      this.finish(this.reason, ENDED[this.reason] || `The call ended: ${this.reason}.`, false);
      return;
    }
    const [name, ...words] = reason.split(": ");
    const general = CLOSED[code] || (this.started ? "The call ended." : "There was no answer.");
    this.finish(name || `CLOSED_${code}`, words.length ? `${general} (${words.join(": ")})` : general, code !== 1000);
  }

  finish(reason, message, failed) {
    if (this.finished) return;
    this.finished = true;
    clearTimeout(this.late);
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.socket && this.socket.readyState < WebSocket.CLOSING) this.socket.close(1000);
    this.context?.close();
    this.tell("over", { reason, message, failed });
  }

  write(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
