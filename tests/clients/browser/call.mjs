// Drives the softphone page in headless Chromium, whose microphone is a WAV file:
//   node call.mjs PAGE CLIP.wav '{"bot": "echo", "press": {"after": "words", "digit": "5"}, ...}'
// Writes what the page showed and what its loudspeaker played as JSON.

import { writeFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const [page_url, clip, told] = process.argv.slice(2);
const plan = JSON.parse(told);

const args = [
  "--no-sandbox",
  "--autoplay-policy=no-user-gesture-required",
  "--use-fake-device-for-media-stream",
  `--use-file-for-fake-audio-capture=${clip}%noloop`,
  plan.refuse ? "--deny-permission-prompts" : "--use-fake-ui-for-media-stream",
];
const browser = await puppeteer.launch({
  executablePath: plan.chromium,
  headless: true,
  args,
  userDataDir: plan.home,
});

// Also lets the loudspeaker's samples into `window.played`, before the page's own code runs.
function tap() {
  window.played = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode && this instanceof AudioWorkletNode) {
      const ear = this.context.createScriptProcessor(4096, 1, 1);
      ear.onaudioprocess = ({ inputBuffer }) => window.played.push(inputBuffer.getChannelData(0).slice());
      connect.call(this, ear);
      connect.call(ear, to);
      window.rate = this.context.sampleRate;
    }
    return connect.call(this, to, ...rest);
  };
}

function said() {
  return [...document.querySelectorAll("#words li:not(.partial)")].map((line) => ({
    speaker: line.className,
    text: line.querySelector("p").textContent,
  }));
}

try {
  const page = await browser.newPage();
  await page.setViewport({ width: plan.width ?? 1000, height: plan.height ?? 800 });
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.evaluateOnNewDocument(tap);
  await page.goto(page_url);
  await page.waitForFunction(() => !document.querySelector("#status").textContent.startsWith("Loading"));
  const bots = await page.$$eval("#bot option", (options) => options.map((option) => option.value));
  if (plan.bot) {
    await page.select("#bot", plan.bot);
    if (!(await page.$eval("#headphones", (box) => box.checked))) await page.click("#headphones");
    await page.click("#dial");
    for (const { after, digit, hang_up, screenshot } of plan.then ?? []) {
      await page.waitForFunction((words) => document.querySelector("#words").textContent.includes(words), {}, after);
      if (digit) await page.click(`#keypad button[value="${digit}"]`);
      if (screenshot) await page.screenshot({ path: screenshot });
      if (hang_up) await page.click("#hang-up");
    }
    await page.waitForFunction(() => document.body.dataset.reason, { timeout: 60_000 });
  }
  if (plan.screenshot) await page.screenshot({ path: plan.screenshot });
  const shown = await page.evaluate(() => ({
    reason: document.body.dataset.reason ?? "",
    status: document.querySelector("#status").textContent,
    problem: document.querySelector("#problem").textContent,
    rate: window.rate ?? 0,
    samples: window.played.reduce((sum, part) => sum + part.length, 0),
  }));
  if (plan.recording) {
    const sound = await page.evaluate(() => window.played.map((part) => [...part]));
    writeFileSync(plan.recording, Buffer.from(Float32Array.from(sound.flat()).buffer));
  }
  const accessible = await page.$$eval("button, select, input", (controls) =>
    controls.every((control) => control.labels?.length || control.textContent.trim() || control.ariaLabel));
  console.log(JSON.stringify({ ...shown, bots, said: await page.evaluate(said), errors, accessible }));
} finally {
  await browser.close();
}
