"use strict";
// The newest state of the scan, asked for once a second. Whatever a run says of itself is set as
// text, never as markup.

const POLL_MS = 1000;
const MARGIN = { left: 64, right: 12, top: 8, bottom: 36 };
const BLUE = "#1f77b4", BAND = "rgba(31, 119, 180, .25)", GRAY = "#777";

const byId = (id) => document.getElementById(id);
let shown = null;

async function poll() {
  const status = byId("status");
  try {
    const answer = await fetch("state", { cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) {
      status.textContent = "this page needs the reader's key: add ?api_key=... to its address";
      status.className = "away";
    } else if (answer.ok) {
      status.className = "";
      if (answer.status === 200) show(await answer.json());
    } else {
      throw new Error(answer.statusText);
    }
  } catch (error) {
    status.textContent = "the server does not answer; what is shown is the last that it said";
    status.className = "away";
  }
  setTimeout(poll, POLL_MS);
}

function show(state) {
  const ended = state.exit_status === null ? "" : ` — ${state.exit_status}`;
  document.title = state.title;
  byId("title").textContent = state.title;
  byId("status").textContent = `run ${state.uid.slice(0, 8)}${ended}`;
  byId("words").replaceChildren(...state.words.map((words) => {
    const item = document.createElement("li");
    item.textContent = words;
    return item;
  }));
  const bar = byId("progress");
  bar.hidden = !state.planned;
  bar.max = state.planned || 1;
  bar.value = state.points;
  shown = state;
  draw();
}

function draw() {
  if (shown === null) return;
  curve("norm", "energy (eV)", shown.energy, shown.norm, shown.norm_errors);
  curve("mu", "energy (eV)", shown.energy, shown.mu, null);
  curve("chi", "k (1/Å)", shown.k, shown.chi, shown.chi_errors);
}

function curve(id, label, x, y, errors) {
  const canvas = byId(id), figure = canvas.parentElement;
  figure.hidden = !x || !y || x.length < 2;
  if (figure.hidden) return;
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const good = y.filter(Number.isFinite);
  const [x0, x1] = [x[0], x[x.length - 1]];
  const low = Math.min(...good), high = Math.max(...good), room = 0.05 * (high - low || 1);
  const across = (v) => MARGIN.left + (v - x0) / (x1 - x0) * (width - MARGIN.left - MARGIN.right);
  const up = (v) => height - MARGIN.bottom
    - (v - low + room) / (high - low + 2 * room) * (height - MARGIN.top - MARGIN.bottom);
  axes(pen, width, height, { x0, x1, low, high, across, up, label });
  if (errors) {
    pen.fillStyle = BAND;
    pen.beginPath();
    x.forEach((v, i) => pen.lineTo(across(v), up(y[i] + errors[i])));
    x.slice().reverse().forEach((v, i) => {
      const j = x.length - 1 - i;
      pen.lineTo(across(v), up(y[j] - errors[j]));
    });
    pen.fill();
  }
  pen.strokeStyle = BLUE;
  pen.lineWidth = 1.5;
  pen.beginPath();
  let drawing = false;
  x.forEach((v, i) => {
    const there = Number.isFinite(y[i]);
    if (there) drawing ? pen.lineTo(across(v), up(y[i])) : pen.moveTo(across(v), up(y[i]));
    drawing = there;
  });
  pen.stroke();
}

function axes(pen, width, height, { x0, x1, low, high, across, up, label }) {
  pen.strokeStyle = pen.fillStyle = GRAY;
  pen.font = "12px system-ui, sans-serif";
  pen.strokeRect(MARGIN.left, MARGIN.top,
    width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom);
  pen.textAlign = "center";
  for (const tick of ticks(x0, x1)) {
    pen.fillText(tick.text, across(tick.value), height - MARGIN.bottom + 14);
  }
  pen.fillText(label, (MARGIN.left + width - MARGIN.right) / 2, height - 6);
  pen.textAlign = "right";
  for (const tick of ticks(low, high)) {
    pen.fillText(tick.text, MARGIN.left - 6, up(tick.value) + 4);
  }
}

function ticks(from, to) {
  const rough = (to - from) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const found = [];
  for (let v = Math.ceil(from / step) * step; v <= to + 1e-9 * step; v += step) {
    found.push({ value: v, text: v.toFixed(digits) });
  }
  return found;
}

// The server has put the key into a cookie: not in what people copy, bookmark or look at.
history.replaceState(null, "", location.pathname);
window.addEventListener("resize", draw);
poll();
