// Marks what is being spoken, seeks where one clicks, has keys, and gets the parts of a long text.
import { explain, play, toggle } from "./playing.js";

const audio = document.querySelector("audio");
explain(audio);
const listed = () =>
  [...document.querySelectorAll(".segments")].map((list) =>
    [...list.querySelectorAll("li")].map((item) => ({
      item,
      start: Number(item.dataset.start),
      end: Number(item.dataset.end),
      words: [...item.querySelectorAll(".w")],
    })),
  );
let lists = listed();
let main = lists[0] ?? [];
let scrolled = 0;

// The last segment that has begun, by bisection: a day has some ten thousand.
const at = (segments, time) => {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segments[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

// A long text has parts. The one that has the second comes from the server.
let part = document.getElementById("part");
const begins = () => Number(part?.dataset.from ?? 0);
const ends = () => Number(part?.dataset.until ?? Infinity);
let wanted = null; // the second of the part that is on its way
let waits = 0; // until when no further part is asked for, after a failure
const isHere = (time) => begins() <= time + 0.01 && time + 0.01 < ends();
const load = async (time) => {
  if (wanted !== null || Date.now() < waits) return;
  wanted = time;
  part.setAttribute("aria-busy", "true");
  const from = (address) => {
    const url = new URL(address, location.href);
    url.searchParams.set("from", time + 0.01);
    return url;
  };
  try {
    const answer = await fetch(from(part.dataset.texts));
    if (!answer.ok) throw new Error(answer.status);
    const html = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = html.getElementById("part");
    part.replaceWith(fresh);
    part = fresh;
    lists = listed();
    main = lists[0] ?? [];
    marked.clear();
    history.replaceState(null, "", from(location.href));
  } catch {
    waits = Date.now() + 5000;
  } finally {
    part.removeAttribute("aria-busy");
    wanted = null;
  }
  bring(time);
  show();
};

const bring = (time) =>
  main[at(main, time + 0.01)]?.item.scrollIntoView({ block: "center" });

const waveform = document.getElementById("waveform");
const cursor = document.getElementById("now");
const marked = new Map();
const show = () => {
  const time = audio.currentTime;
  if (cursor && audio.duration) cursor.style.left = `${(100 * time) / audio.duration}%`;
  if (audio.readyState > 0 && !isHere(time)) load(time);
  for (const segments of lists) {
    const index = at(segments, time + 0.01);
    const now = index >= 0 && time < segments[index].end + 0.5 ? segments[index] : null;
    const before = marked.get(segments);
    if (before !== now) {
      before?.item.removeAttribute("aria-current");
      for (const word of before?.words ?? []) word.classList.remove("now");
      now?.item.setAttribute("aria-current", "true");
      marked.set(segments, now);
      if (now && !audio.paused && segments === main && Date.now() - scrolled > 4000)
        now.item.scrollIntoView({ block: "center" });
    }
    for (const word of now?.words ?? [])
      word.classList.toggle("now", word.dataset.start <= time && time < word.dataset.end);
  }
};
addEventListener("wheel", () => (scrolled = Date.now()), { passive: true });
addEventListener("touchmove", () => (scrolled = Date.now()), { passive: true });
audio.addEventListener("timeupdate", show);
audio.addEventListener("seeked", show);
(function frame() {
  if (!audio.paused) show();
  requestAnimationFrame(frame);
})();

const seek = (time, plays) => {
  audio.currentTime = Math.max(0, time);
  if (plays) play(audio);
};
document.addEventListener("click", (event) => {
  if (event.target.closest("textarea")) return;
  const word = event.target.closest(".w");
  const item = event.target.closest(".segments li");
  if (!item || getSelection().toString()) return;
  event.preventDefault();
  const start = Number((word ?? item).dataset.start);
  history.replaceState(null, "", `#t=${start}`);
  seek(start, true);
});
waveform?.addEventListener("click", (event) => {
  const box = waveform.getBoundingClientRect();
  if (audio.duration) seek((audio.duration * (event.clientX - box.left)) / box.width, !audio.paused);
});
const step = (by) => {
  const index = at(main, audio.currentTime + 0.01) + by;
  if (main[index]) seek(main[index].start, false);
  else if (by > 0 && ends() < Infinity) seek(ends(), false);
  else if (by < 0 && begins() > 0) seek(begins() - 0.1, false);
};
const keys = {
  k: () => toggle(audio),
  j: () => seek(audio.currentTime - 5, false),
  l: () => seek(audio.currentTime + 5, false),
  n: () => step(1),
  p: () => step(-1),
};
addEventListener("keydown", (event) => {
  const writes = event.target.closest("input, select, textarea");
  if (writes || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = keys[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});
const fromAddress = () => {
  const found = /^#t=([\d.]+)$/.exec(location.hash);
  if (!found && !begins()) return;
  const time = found ? Number(found[1]) : begins();
  const go = () => {
    seek(time, false);
    bring(time);
    show();
  };
  if (!isHere(time)) load(time); // also if there is no audio
  if (audio.readyState > 0) go();
  else audio.addEventListener("loadedmetadata", go, { once: true });
};
addEventListener("hashchange", fromAddress);
fromAddress();
