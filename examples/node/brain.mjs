// The front desk of the demo as a gRPC service, written from protos/ alone:
//
//   DESK_SECRET=... node brain.mjs [PORT]
//
// It says on which address it listens, and then answers turns. It remembers nothing: what it wants
// to know next time it has the call remember (`set`).

import { timingSafeEqual } from "node:crypto";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const PROTOS = fileURLToPath(new URL("../../protos", import.meta.url));
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const HOURS = { one: 13, two: 14, three: 15, four: 16, five: 17, six: 18 };
const FACTS = {
  "opening hours on saturday": ["On Saturday we are open ", "from nine until noon."],
  "first visit": [
    "Please bring your insurance card, and a list of the medicines that you take. ",
    "If another doctor has sent you, bring the letter, too. ",
    "Be there ten minutes early.",
  ],
  parking: ["Yes, there are six ", "parking spaces behind the house."],
};

const definition = loader.loadSync("voicemesh/api/bot/v1/bot.proto", {
  includeDirs: [PROTOS],
  defaults: true,
});
const { BotService } = grpc.loadPackageDefinition(definition).voicemesh.api.bot.v1;

// google.protobuf.Struct, both ways, as far as this bot needs it: strings.
const struct = (values) => ({
  fields: Object.fromEntries(Object.entries(values).map(([k, v]) => [k, { stringValue: v }])),
});
const values = (struct) =>
  Object.fromEntries(Object.entries(struct?.fields ?? {}).map(([k, v]) => [k, v.stringValue]));

function* actions(turn) {
  const said = turn.said.toLowerCase();
  const known = values(turn.variables);
  const last = turn.transcript.at(-1);
  if (!last) return yield { say: "Riverside Practice, good day. How can I help you?" };
  if (last.tool) return yield* booked(JSON.parse(last.text), known);
  if (said.includes("goodbye")) return yield* [{ say: "Goodbye." }, { hangUp: {} }];
  for (const [question, words] of Object.entries(FACTS)) {
    // Words as a language model would stream them.
    if (said.includes(question)) return yield* words.map((text) => ({ text }));
  }
  const name = said.match(/my name is ([a-z ]+)/);
  if (name) return yield* book({ ...known, name: titled(name[1].trim()) });
  const day = DAYS.find((day) => said.includes(day));
  if (!day) return yield { say: "I'm sorry, I don't know that." };
  const word = said.split(" ").find((word) => word in HOURS);
  yield* book({ ...known, day, ...(word && { time: `${HOURS[word]}:00` }) });
}

function* book(known) {
  const { day, time, name, confirmation } = known;
  const keep = Object.entries({ day, time, name }).filter(([, value]) => value);
  yield { set: struct(Object.fromEntries(keep)) };
  if (!time) return yield { say: "At what time?" };
  if (!name) return yield { say: "What name may I put down?" };
  const wanted = { date: dateOf(day), time, name, ...(confirmation && { replaces: confirmation }) };
  yield { callTool: { name: "book_appointment", arguments: struct(wanted) } };
}

function* booked(result, known) {
  if (!result.confirmation) return yield { say: "I'm sorry, that is not free. What other time?" };
  yield { say: `You are booked for ${titled(known.day)}. Your number is ${result.confirmation}.` };
  yield { set: struct({ confirmation: String(result.confirmation) }) };
}

const titled = (text) => text.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());

function dateOf(day) {
  const date = new Date();
  const ahead = ((DAYS.indexOf(day) - date.getUTCDay() + 6) % 7) + 1;
  date.setUTCDate(date.getUTCDate() + ahead);
  return date.toISOString().slice(0, 10);
}

function known(call) {
  const given = Buffer.from(String(call.metadata.get("authorization")[0] ?? ""));
  const wanted = Buffer.from(`Bearer ${process.env.DESK_SECRET}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function answer(call) {
  if (!known(call)) {
    call.emit("error", { code: grpc.status.UNAUTHENTICATED, details: "who are you?" });
    return;
  }
  for (const action of actions(call.request)) {
    if (call.cancelled) return; // the caller goes on speaking
    call.write(action);
  }
  call.end();
}

const server = new grpc.Server();
server.addService(BotService.service, { Answer: answer });
server.bindAsync(
  `127.0.0.1:${process.argv[2] ?? 7901}`,
  grpc.ServerCredentials.createInsecure(),
  (error, port) => {
    if (error) throw error;
    console.log(`127.0.0.1:${port}`);
  },
);
process.on("SIGTERM", () => server.tryShutdown(() => process.exit(0)));
