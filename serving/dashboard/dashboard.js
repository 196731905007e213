// The dashboard: asks /v1/analytics and draws. Everything shown goes in as text, never as markup.
"use strict";

const HOUR = 3600, DAY = 86400;
const SPANS = [
  { mark: "#24h", name: "24 hours", bucket: "hour", width: HOUR, buckets: 24 },
  { mark: "#7d", name: "7 days", bucket: "hour", width: HOUR, buckets: 168 },
  { mark: "#30d", name: "30 days", bucket: "day", width: DAY, buckets: 30 },
];
const REFRESH_MS = 60_000;
const KEY = "sluice.key";
const state = { span: Math.max(0, SPANS.findIndex((one) => one.mark === location.hash)), key: null, found: null, asked: 0 };
const $ = (id) => document.getElementById(id);

// -- elements ---------------------------------------------------------------------------------

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}
const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const show = (id, ...children) => $(id).replaceChildren(...children);
const none = (text) => h("p", { class: "none" }, text);

function legend(entries) {
  return h("div", { class: "legend" }, ...entries.map(([kind, name]) =>
    h("span", {}, h("i", { class: `swatch bg-${kind}` }), name)));
}

// -- words ------------------------------------------------------------------------------------

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const count = (n) => (n < 10_000 ? n.toLocaleString("en") : COMPACT.format(n));
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(share > 0.995 && share < 1 ? 2 : 1)}%`);

function usd(amount) {
  const size = Math.abs(amount);
  const digits = size >= 1000 || size === 0 ? 0 : size >= 0.995 ? 2 : 3;
  const form = size >= 0.01 || !size ? { minimumFractionDigits: Math.min(digits, 2), maximumFractionDigits: digits } : { maximumSignificantDigits: 2 };
  const text = size.toLocaleString("en", form);
  return `${amount < 0 ? "−" : ""}$${text}`;
}

function duration(ms) {
  if (!ms) return ms === null ? "–" : "0";
  if (ms >= 9_950) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 995) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 10 ? ms.toFixed(0) : ms.toFixed(ms >= 1 ? 1 : 2)} ms`;
}

function moment(start, form) {
  return new Date(start).toLocaleString("en-GB", { timeZone: "UTC", ...form });
}
const day = (start) => moment(start, { day: "numeric", month: "short" });
const clock = (start) => moment(start, { hour: "2-digit", minute: "2-digit" });
const whole = (start) => (span().bucket === "day" ? day(start) : `${day(start)}, ${clock(start)}`);
const span = () => SPANS[state.span];

// -- charts -----------------------------------------------------------------------------------

function ticks(most) {
  const step = [1, 2, 2.5, 5, 10].map((one) => one * 10 ** Math.floor(Math.log10(most / 4 || 1)))
    .find((one) => most / one <= 4.5);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, index) => index * step);
}

// A frame with a scale of values on the left and of buckets below; `x` is a bucket's left edge.
function frame(host, rows, most, write, label, height = 190) {
  const full = Math.max(260, host.clientWidth), left = 46, bottom = 22, top = 8;
  const marks = ticks(most || 1), peak = Math.max(most, marks.at(-1)) || 1;
  const width = full - left, step = width / Math.max(rows.length, 1);
  const chart = s("svg", { class: "chart", viewBox: `0 0 ${full} ${height}`, height, role: "img", "aria-label": label });
  const x = (index) => left + index * step;
  const y = (value) => top + (height - top - bottom) * (1 - value / peak);
  for (const mark of marks) {
    chart.append(s("line", { class: mark ? "grid-line" : "axis", x1: left, x2: full, y1: y(mark), y2: y(mark) }));
    chart.append(s("text", { x: left - 8, y: y(mark) + 4, "text-anchor": "end" }, write(mark)));
  }
  const days = span().bucket === "day" || rows.length > 48;
  const every = Math.max(1, Math.ceil(54 / step));
  rows.forEach((row, index) => {
    const hour = new Date(row.start).getUTCHours();
    const due = rows.length > 48 ? hour === 0 && (step * 24 > 44 || Math.round(index / 24) % 2 === 0) : index % every === 0;
    if (!due) return;
    const place = Math.min(x(index) + (days && rows.length > 48 ? 0 : step / 2), full - 18);
    chart.append(s("text", { x: place, y: height - 5, "text-anchor": "middle" }, days ? day(row.start) : clock(row.start)));
  });
  host.replaceChildren(chart);
  return { chart, x, y, step };
}

function hoverable({ chart, x, step }, rows, height, tell) {
  const band = s("rect", { class: "hover", y: 0, width: Math.max(step, 1), height });
  chart.append(band);
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const at = ((event.clientX - box.left) * chart.viewBox.baseVal.width) / box.width;
    const index = Math.floor((at - x(0)) / step);
    const row = rows[index];
    band.classList.toggle("on", Boolean(row));
    if (!row) return hideTip();
    band.setAttribute("x", x(index));
    showTip(event, whole(row.start), tell(row));
  });
  chart.addEventListener("pointerleave", () => { band.classList.remove("on"); hideTip(); });
}

function showTip(event, title, lines) {
  const tip = $("tip");
  tip.replaceChildren(h("b", {}, title), ...lines.map(([name, value]) => h("div", {}, h("span", {}, name), h("span", {}, value))));
  tip.hidden = false;
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const above = event.clientY - tip.offsetHeight - 14;
  tip.style.transform = `translate(${left}px, ${above < 4 ? event.clientY + 18 : above}px)`;
}
const hideTip = () => { $("tip").hidden = true; };

// Bars from the bottom up: layers of [class, value of a row], stacked, or each from zero.
function bars(id, rows, layers, { write, label, tell, stacked = false, names }) {
  const host = $(id);
  const top = (row) => layers.reduce((sum, [, value]) => (stacked ? sum + value(row) : Math.max(sum, value(row))), 0);
  const drawn = frame(host, rows, Math.max(...rows.map(top)), write, label);
  const gap = Math.min(4, drawn.step * 0.25);
  rows.forEach((row, index) => {
    let below = 0;
    layers.forEach(([kind, value], place) => {
      const amount = value(row);
      if (amount <= 0) return;
      const inset = stacked ? 0 : place * Math.min(3, drawn.step * 0.12);
      const from = stacked ? below : 0;
      drawn.chart.append(s("rect", {
        class: `fill-${kind}`, x: drawn.x(index) + gap / 2 + inset, width: Math.max(0.5, drawn.step - gap - 2 * inset),
        y: drawn.y(from + amount), height: Math.max(0.5, drawn.y(from) - drawn.y(from + amount)), rx: drawn.step > 8 ? 2 : 0,
      }));
      below += amount;
    });
  });
  hoverable(drawn, rows, 168, tell);
  host.append(legend(names));
}

function lines(id, rows, series, { label, names, tell }) {
  const host = $(id);
  const known = rows.flatMap((row) => series.map(([, value]) => value(row))).filter((value) => value !== null);
  if (!known.length) return show(id, none("No request was answered in this span."));
  const drawn = frame(host, rows, Math.max(...known), duration, label, 170);
  for (const [kind, value] of series) {
    let path = "", before = false;
    rows.forEach((row, index) => {
      const at = value(row);
      if (at !== null) path += `${before ? "L" : "M"}${drawn.x(index) + drawn.step / 2},${drawn.y(at)}${before ? "" : "h.01"}`;
      before = at !== null;
    });
    drawn.chart.append(s("path", { class: `line stroke-${kind}`, d: path }));
  }
  hoverable(drawn, rows, 148, tell);
  host.append(legend(names));
}

function reliability(id, found) {
  if (!found.n) {
    return show(id, none("No labels yet. POST /v1/feedback with a request's id says whether its answer was right."));
  }
  const size = 250, left = 40, bottom = 34, inner = size - left - 8;
  const x = (p) => left + p * inner, y = (p) => 8 + (1 - p) * inner;
  const chart = s("svg", { class: "chart", viewBox: `0 0 ${size} ${inner + 8 + bottom}`, role: "img",
    "aria-label": `Predicted against observed on ${found.n} labels, calibration error ${percent(found.ece)}` });
  for (const mark of [0, 0.25, 0.5, 0.75, 1]) {
    chart.append(s("line", { class: "grid-line", x1: x(0), x2: x(1), y1: y(mark), y2: y(mark) }));
    chart.append(s("line", { class: "grid-line", x1: x(mark), x2: x(mark), y1: y(0), y2: y(1) }));
    chart.append(s("text", { x: left - 7, y: y(mark) + 4, "text-anchor": "end" }, `${mark * 100}%`));
    if (mark % 0.5 === 0) chart.append(s("text", { x: x(mark), y: y(0) + 15, "text-anchor": mark === 1 ? "end" : "middle" }, `${mark * 100}%`));
  }
  chart.append(s("text", { x: x(0.5), y: y(0) + 30, "text-anchor": "middle" }, "predicted"));
  chart.append(s("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  const full = found.bins.filter((bin) => bin.n);
  const most = Math.max(...full.map((bin) => bin.n));
  for (const bin of full) {
    const at = x(bin.mean_predicted);
    chart.append(s("line", { class: "gap", x1: at, x2: at, y1: y(bin.mean_predicted), y2: y(bin.mean_observed) }));
    const dot = s("circle", { class: "dot", cx: at, cy: y(bin.mean_observed), r: 3.5 + 7 * Math.sqrt(bin.n / most) });
    dot.addEventListener("pointermove", (event) => showTip(event, `${percent(bin.low)} to ${percent(bin.high)}`, [
      ["predicted", percent(bin.mean_predicted)], ["right", percent(bin.mean_observed)], ["labels", count(bin.n)]]));
    dot.addEventListener("pointerleave", hideTip);
    chart.append(dot);
  }
  const facts = h("dl", { class: "facts" },
    h("dt", {}, "Labels"), h("dd", {}, count(found.n)),
    h("dt", {}, "Calibration error"), h("dd", {}, percent(found.ece)),
    h("dt", {}, "Brier score"), h("dd", {}, found.brier.toFixed(3)));
  const hint = h("p", { class: "hint" }, found.n < 200
    ? "Few labels: a dot may be off by chance."
    : "A dot on the dashed line: of what is predicted at that rate, as much is right. Larger dots hold more labels.");
  show(id, h("div", { class: "reliability" }, chart, h("div", {}, facts, hint)));
}

// -- panels -----------------------------------------------------------------------------------

function table(id, rows, columns, nameOf, empty, kindOf = () => "plain") {
  if (!rows.length) return show(id, none(empty));
  const most = Math.max(...rows.map((row) => row.requests));
  const head = h("tr", {}, h("th", {}, ""), ...columns.map(([name]) => h("th", {}, name)));
  const body = rows.map((row) => {
    const meter = h("div", { class: `meter bg-${kindOf(row)}` });
    meter.style.width = `${(100 * row.requests) / most}%`;
    return h("tr", {}, h("td", {}, h("div", { class: "name" }, nameOf(row)), meter),
      ...columns.map(([, value]) => h("td", {}, value(row))));
  });
  show(id, h("table", {}, h("thead", {}, head), h("tbody", {}, ...body)));
}

function drawMoney({ total, rows }) {
  const lost = total.saved_usd < 0;
  show("money",
    h("div", { class: "label" }, lost ? "Paid more than the verifier alone" : "Saved"),
    h("div", { class: `huge${lost ? " loss" : ""}` }, usd(Math.abs(total.saved_usd))),
    h("dl", { class: "facts" },
      h("dt", {}, "Saving"), h("dd", {}, percent(total.saving)),
      h("dt", {}, "Spent"), h("dd", {}, usd(total.cost_usd)),
      h("dt", {}, "Verifier alone"), h("dd", {}, usd(total.baseline_usd)),
      h("dt", {}, "Tokens in / out"), h("dd", {}, `${count(total.input_tokens)} / ${count(total.output_tokens)}`)),
    total.unpriced ? h("p", { class: "hint" }, `${count(total.unpriced)} requests of unknown cost are in no saving.`) : "");
  bars("spend", rows, [["base", (row) => row.baseline_usd], ["spend", (row) => row.cost_usd]], {
    write: usd, label: `Spent ${usd(total.cost_usd)}; the verifier alone would have cost ${usd(total.baseline_usd)}`,
    names: [["spend", "spent"], ["base", "the verifier alone"]],
    tell: (row) => [["spent", usd(row.cost_usd)], ["verifier alone", usd(row.baseline_usd)], ["saving", percent(row.saving)]],
  });
}

function drawFigures({ total, rows, failures, labels }) {
  const tile = (name, value, note) => h("div", { class: "tile" }, h("span", { class: "label" }, name), h("b", {}, value), h("small", {}, note));
  show("tiles",
    tile("Requests", count(total.requests), total.failed ? `${percent(total.failed / total.requests)} failed` : "none failed"),
    tile("Drafts accepted", percent(total.acceptance_rate), `of ${count(total.drafted)} drafted`),
    tile("Escalated", percent(total.escalation_rate), `of ${count(total.routed)} routed`),
    tile("Drafts agree", percent(total.agreement_rate), `of ${count(total.compared)} compared`),
    tile("From the cache", percent(total.cached_share), `of ${count(total.answered)} answered`),
    tile("Answers right", percent(labels.mean_label), `by ${count(labels.n)} labels`));
  bars("requests", rows, [["ok", (row) => row.answered], ["cancelled", (row) => row.cancelled], ["failed", (row) => row.failed]], {
    write: count, stacked: true, label: `${total.requests} requests, ${total.failed} failed`,
    names: [["ok", "answered"], ["cancelled", "cancelled"], ["failed", "failed"]],
    tell: (row) => [["answered", count(row.answered)], ["cancelled", count(row.cancelled)], ["failed", count(row.failed)]],
  });
  const times = (id, field, tail, title) => lines(id, rows, [["mid", (row) => row[field].p50], ["tail", (row) => row[field][tail]]], {
    label: `${title}: median ${duration(total[field].p50)}, ${tail} ${duration(total[field][tail])}`,
    names: [["mid", `median ${duration(total[field].p50)}`], ["tail", `${tail} ${duration(total[field][tail])}`]],
    tell: (row) => [["median", duration(row[field].p50)], [tail, duration(row[field][tail])]],
  });
  times("latency", "latency_ms", "p95", "Latency");
  times("overhead", "overhead_ms", "p99", "Overhead");
  reliability("p_success", labels.p_success);
  reliability("p_acceptable", labels.p_acceptable);
  table("failures", failures, [["status", (row) => String(row.http_status)], ["requests", (row) => count(row.requests)]],
    (row) => row.error_code ?? "without a code", "None failed.", () => "failed");
}

function drawGroups({ total }, model, domain, action, key) {
  const share = (row) => percent(row.requests / total.requests);
  const named = (missing) => (row) => (row.rest ? "all others" : row.group || missing);
  table("models", model.rows, [["requests", (row) => count(row.requests)],
    ["spent", (row) => usd(row.cost_usd)], ["median", (row) => duration(row.latency_ms.p50)]], named("no model answered"), "None.");
  table("domains", domain.rows, [["requests", (row) => count(row.requests)],
    ["accepted", (row) => percent(row.acceptance_rate)], ["saving", (row) => percent(row.saving)]], named("not routed"), "None.");
  const words = { accepted: "a draft was accepted", consensus: "drafts were compared, one accepted", optimistic: "a draft was passed on as it came",
    escalated: "a draft, then the verifier", direct: "straight to the verifier", bypass: "by the model that was asked for", cached: "from the cache",
    rejected_draft: "a rejected draft, for want of the verifier" };
  const kind = (row) => row.group ?? "failed", said = (row) => words[row.group] ?? row.group ?? "no answer";
  const stack = h("div", { class: "stack" }, ...action.rows.map((row) => {
    const part = h("div", { class: `bg-${kind(row)}`, title: `${said(row)}: ${share(row)}` });
    part.style.flexGrow = row.requests;
    return part;
  }));
  table("actions", action.rows, [["requests", (row) => count(row.requests)], ["share", share]], said, "None.", kind);
  $("actions").prepend(stack);
  $("keys-card").hidden = key.rows.length < 2 && !state.key;
  table("keys", key.rows, [["requests", (row) => count(row.requests)], ["spent", (row) => usd(row.cost_usd)],
    ["saving", (row) => percent(row.saving)]], (row) => {
    if (row.rest || !row.group) return row.rest ? "all others" : "without a key";
    const button = h("button", { type: "button" }, row.group);
    button.addEventListener("click", () => { state.key = row.group; load(); });
    return button;
  }, "None.");
}

function draw() {
  hideTip();
  if (!state.found) return;
  const [all, ...groups] = state.found;
  const empty = !all.total.requests;
  $("board").hidden = false;
  $("empty").hidden = !empty;
  $("filled").hidden = empty;
  $("footer").textContent = `Times in UTC. Updated ${clock(all.to)}. Percentiles are read off bins 15% wide.`;
  if (empty) {
    $("nothing").textContent = `No requests yet in the last ${span().name}`;
    $("sample").textContent = `curl -s ${location.origin}/v1/chat/completions \\\n  -H 'content-type: application/json' \\\n` +
      (sessionStorage.getItem(KEY) ? "  -H \"authorization: Bearer $SLUICE_KEY\" \\\n" : "") +
      "  -d '{\"model\": \"auto\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 * 23?\"}]}'";
    return;
  }
  drawMoney(all);
  drawFigures(all);
  drawGroups(all, ...groups);
}

// -- asking -----------------------------------------------------------------------------------

class Refused extends Error {}

async function ask(path) {
  const key = sessionStorage.getItem(KEY);
  const response = await fetch(path, { headers: key ? { authorization: `Bearer ${key}` } : {}, cache: "no-store" });
  const content = await response.json();
  if (response.status === 401) throw new Refused(content.error.message);
  if (!response.ok && path !== "/health/ready") throw new Error(content.error.message);
  return content;
}

function analytics(extra) {
  const { width, buckets } = span();
  const now = Date.now() / 1000;
  const from = Math.floor(now / width) * width - (buckets - 1) * width;
  const query = new URLSearchParams({ from, to: now.toFixed(3), ...extra });
  if (state.key) query.set("key", state.key);
  return ask(`/v1/analytics?${query}`);
}

async function load() {
  const asked = ++state.asked;
  try {
    const all = await analytics({ bucket: span().bucket });
    const groups = await Promise.all(["model", "domain", "action", "key"].map((group_by) => analytics({ bucket: "none", group_by })));
    if (asked !== state.asked) return;
    state.found = [all, ...groups];
    $("notice").hidden = $("login").hidden = true;
    draw();
  } catch (error) {
    if (asked !== state.asked) return;
    if (error instanceof Refused) return login(error.message);
    $("notice").textContent = `The figures could not be read: ${error.message}`;
    $("notice").hidden = false;
  } finally {
    $("forget").hidden = !sessionStorage.getItem(KEY);
    $("filter").hidden = !state.key;
    $("filter").textContent = `key ${state.key} ✕`;
  }
  health();
}

async function health() {
  try {
    const found = await ask("/health/ready");
    const ready = found.status === "ready";
    $("health").textContent = ready ? `artifact ${found.artifact}` : `not ready: ${(found.missing ?? []).join(", ")}`;
    $("health").classList.toggle("bad", !ready);
    $("health").hidden = false;
  } catch {
    $("health").hidden = true;
  }
}

function login(message) {
  state.found = null;
  $("board").hidden = $("notice").hidden = true;
  $("refusal").textContent = sessionStorage.getItem(KEY) ? message : "";
  sessionStorage.removeItem(KEY);
  $("login").hidden = false;
  $("key").focus();
}

function start() {
  show("spans", ...SPANS.map((one, index) => {
    const button = h("button", { type: "button", "aria-pressed": index === state.span }, one.name);
    button.addEventListener("click", () => {
      state.span = index;
      history.replaceState(null, "", one.mark);
      [...$("spans").children].forEach((other, place) => other.setAttribute("aria-pressed", place === index));
      load();
    });
    return button;
  }));
  $("login").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, $("key").value.trim());
    $("key").value = "";
    load();
  });
  $("forget").addEventListener("click", () => { sessionStorage.removeItem(KEY); state.key = null; load(); });
  $("filter").addEventListener("click", () => { state.key = null; load(); });
  let resized = 0;
  window.addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(draw, 120); });
  setInterval(() => { if (!document.hidden && state.found) load(); }, REFRESH_MS);
  load();
}

start();
