// The page: which bot, what is said, how it stands. Calls themselves are call.js.

import { Call } from "./call.js";

const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const token = asked.get("token") ?? "";

const STATES = {
  microphone: "Waiting for the microphone…",
  connecting: "Connecting…",
  talking: "On a call",
};

let call = null;
let since = 0;

function show(message, failed = false) {
  const box = $("problem");
  box.textContent = failed ? message : "";
  box.hidden = !failed;
  if (!failed) $("status").textContent = message;
}

function socketUrl() {
  const url = new URL("/carriers/browser", location.href);
  url.protocol = url.protocol.replace(/^http/, "ws");
  return url.href;
}

async function listBots() {
  const url = new URL("bots.json", location.href);
  if (token) url.searchParams.set("token", token);
  const choice = $("bot");
  try {
    const answer = await fetch(url);
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.message);
    for (const bot of told.bots) choice.add(new Option(`${bot.name} (${bot.language})`, bot.name));
    choice.value = asked.get("bot") ?? choice.value;
    if (choice.selectedIndex < 0) choice.selectedIndex = 0;
    $("dial").disabled = choice.length === 0;
    show(choice.length ? "Ready to call" : "There are no bots");
  } catch (error) {
    show("Not ready");
    show(`The list of bots cannot be read: ${error.message}. If this gateway wants a token, add ?token=… to this page's address.`, true);
  }
}

function onState({ detail }) {
  show(STATES[detail]);
  if (detail === "talking") since = Date.now();
}

function onTranscript({ detail: { speaker, text, final } }) {
  const log = $("words");
  let line = log.querySelector(`li.${speaker}.partial`);
  if (!text && !final) {
    line?.remove();
    return;
  }
  if (!line) {
    line = document.createElement("li");
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = speaker === "bot" ? "Bot" : "You";
    line.append(who, document.createElement("p"));
    log.append(line);
  }
  line.className = final ? speaker : `${speaker} partial`;
  line.querySelector("p").textContent = text;
  log.scrollTop = log.scrollHeight;
}

function onLevel({ detail }) {
  for (const [name, level] of Object.entries(detail)) {
    // From -50 dB to full scale.
    const share = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(level, 1e-5)) / 2.5));
    $(name).style.setProperty("--level", share.toFixed(2));
  }
}

function onOver({ detail: { reason, message, failed } }) {
  document.body.dataset.call = "none";
  document.body.dataset.reason = reason;
  onLevel({ detail: { microphone: 0, loudspeaker: 0 } });
  show("Ready to call");
  if (failed) show(message, true);
  else $("status").textContent = message;
  for (const control of [$("bot"), $("headphones"), $("dial")]) control.disabled = false;
  $("hang-up").disabled = $("mute").disabled = true;
  $("mute").setAttribute("aria-pressed", "false");
  $("dial").focus();
  call = null;
}

function dial(event) {
  event.preventDefault();
  if (call) return;
  show("", false);
  $("words").replaceChildren();
  $("time").textContent = "0:00";
  since = 0;
  delete document.body.dataset.reason;
  document.body.dataset.call = "live";
  for (const control of [$("bot"), $("headphones"), $("dial")]) control.disabled = true;
  $("hang-up").disabled = $("mute").disabled = false;
  $("hang-up").focus();
  const start = { bot: $("bot").value, call: crypto.randomUUID?.() ?? "", variables: {} };
  for (const [name, value] of asked) if (name.startsWith("var.")) start.variables[name.slice(4)] = value;
  if (token) start.token = token;
  call = new Call({ url: socketUrl(), start, processing: !$("headphones").checked });
  call.addEventListener("state", onState);
  call.addEventListener("transcript", onTranscript);
  call.addEventListener("level", onLevel);
  call.addEventListener("over", onOver);
  call.place();
}

function mute() {
  const on = $("mute").getAttribute("aria-pressed") !== "true";
  $("mute").setAttribute("aria-pressed", String(on));
  call?.mute(on);
}

for (const key of document.querySelectorAll("#keypad button")) {
  key.addEventListener("click", () => call?.press(key.value));
}
document.addEventListener("keydown", (event) => {
  const key = document.querySelector(`#keypad button[value="${CSS.escape(event.key)}"]`);
  if (call && key && !event.ctrlKey && !event.metaKey && !event.altKey) key.click();
});
setInterval(() => {
  if (!call || !since) return;
  const seconds = Math.floor((Date.now() - since) / 1000);
  $("time").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}, 250);
$("phone").addEventListener("submit", dial);
$("hang-up").addEventListener("click", () => call?.hangUp());
$("mute").addEventListener("click", mute);
addEventListener("pagehide", () => call?.hangUp());
listBots();
