// What everything stands on: making nodes, asking the gateway, writing numbers for people, asking before acting.
// Text comes into the page as text nodes only, whatever it holds.
"use strict";

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  put(node, children);
  return node;
}

function put(node, children) {
  for (const child of [children].flat(9)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child.nodeType ? child : document.createTextNode(String(child)));
  }
}

function show(node, ...children) {
  node.replaceChildren();
  put(node, children);
  return node;
}

// The same, for what is drawn again and again: nobody's focus is taken away.
function refresh(node, ...children) {
  const at = node.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  show(node, ...children);
  if (at) [...node.querySelectorAll("a")].find((link) => link.getAttribute("href") === at)?.focus();
}

// --- the gateway

const me = { roles: [], client: "", csrf: null, why: "" };
const can = (role) => me.roles.includes(role);

// Rows keep every digit of their numbers: what a number of JavaScript cannot hold stays the text that it was.
const exactly = (key, value, context) =>
  typeof value === "number" && JSON.rawJSON && context?.source !== undefined && String(value) !== context.source ? JSON.rawJSON(context.source) : value;

// reviver: as JSON.parse has it. age: how many seconds old the answer may be.
async function ask(method, path, body, reviver, age) {
  const headers = age ? { "Cache-Control": `max-age=${age}` } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (me.csrf && method !== "GET") headers["X-CSRF-Token"] = me.csrf;
  if (me.why && method !== "GET") path += `${path.includes("?") ? "&" : "?"}why=${encodeURIComponent(me.why)}`;
  const answer = await fetch(path, { method, headers, body, cache: "no-store", credentials: "same-origin" });
  const text = await answer.text();
  let found = null;
  try { found = text ? JSON.parse(text, reviver) : null; } catch { /* told by the status */ }
  if (answer.ok) return found;
  const fault = new Error(found?.detail || found?.faults?.join("; ") || found?.title || `the gateway answered ${answer.status}`);
  fault.status = answer.status;
  throw fault;
}

// What is asked again and again: one answer a second is made for all open pages.
const glance = (path) => ask("GET", path, undefined, undefined, 1);

function query(path, parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value);
  return pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path;
}

// --- numbers and times

const whole = new Intl.NumberFormat("en");
const number = (n) => whole.format(n);
const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many || one + "s"}`;
const rowsOf = (n) => plural(n, "row");

function short(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]])
    if (n >= size) return `${(n / (unit === "k" ? 1e3 : size)).toPrecision(3)}${unit}`;
  return n >= 100 || Number.isInteger(n) ? number(Math.round(n)) : n.toPrecision(2);
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

// Of bytes, a second, in decimal units: the number and its unit.
function pace(n) {
  const units = ["B/s", "kB/s", "MB/s", "GB/s"];
  let unit = 0;
  for (; n >= 1000 && unit < units.length - 1; unit++) n /= 1000;
  return [unit === 0 || n >= 100 ? String(Math.round(n)) : n.toFixed(1), units[unit]];
}

function seconds(s) {
  if (s === null || s === undefined || Number.isNaN(s)) return "–";
  if (s < 0.001) return s === 0 ? "0 s" : `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${s < 0.01 ? (s * 1e3).toFixed(1) : Math.round(s * 1e3)} ms`;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const from = parts.findIndex(([size]) => s >= size);
  const [size, unit] = parts[from], [next, small] = parts[from + 1];
  const rest = Math.floor((s % size) / next);
  return `${Math.floor(s / size)} ${unit}${rest ? ` ${rest} ${small}` : ""}`;
}

const clock = (text) => new Date(text).toLocaleTimeString("en-GB");
const moment = (text) => text ? el("time", { datetime: text, title: text }, `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`) : "–";
const ago = (text) => el("time", { datetime: text, title: text }, `${seconds((Date.now() - new Date(text)) / 1000)} ago`);

// --- saying and asking

let saidTimer;
function say(text) {
  show(document.getElementById("said"), el("div", null, text));
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => show(document.getElementById("said")), 6000);
}

// Resolves to true only when the person says yes. Escape, and anything else, is no.
function sure(title, lines, yes, danger) {
  return new Promise((resolve) => {
    const why = el("input", { maxlength: 200, autocomplete: "off" });
    const box = el("dialog", { "aria-labelledby": "sure" }, el("h2", { id: "sure" }, title), lines.map((line) => el("p", null, line)),
      field("Why, for the audit log", why),
      el("div", { class: "row" }, el("button", { type: "button", autofocus: true, onclick: () => box.close("") }, "Leave it"),
        el("button", { type: "button", class: danger ? "danger" : "main", onclick: () => box.close("yes") }, yes)));
    box.addEventListener("close", () => { box.remove(); me.why = why.value.trim(); resolve(box.returnValue === "yes"); });
    document.body.append(box);
    box.showModal();
  });
}

// A button that does one thing at a time, and says what went wrong.
function button(text, act, options = {}) {
  const node = el("button", { type: "button", class: options.class, "aria-label": options.label }, text);
  node.addEventListener("click", async () => {
    node.disabled = true;
    try { await act(node); } catch (fault) { say(fault.message); }
    me.why = "";
    node.disabled = false;
  });
  return node;
}

// Now and every so often, while the view is there and somebody could see it.
function often(ms, look) {
  const here = current;
  const run = async () => {
    if (current !== here) return;
    if (document.visibilityState === "visible") {
      try { await look(); } catch (fault) { if (current === here) lost(fault); }
    }
    if (current === here) setTimeout(run, ms);
  };
  run();
}

// The same, told by the gateway to all open pages at once: path() says where, on[event] takes what comes. Where it tells no
// more readers, or this one no more, it is asked instead. Returns what begins anew.
function follow(path, on, instead) {
  const here = current;
  let source = null, timer = null;
  const end = () => { clearTimeout(timer); source?.close(); source = null; };
  const begin = () => {
    end();
    if (current !== here || document.visibilityState !== "visible") return;
    const mine = (source = new EventSource(path()));
    for (const [event, act] of Object.entries(on)) mine.addEventListener(event, (e) => act(JSON.parse(e.data)));
    mine.onerror = async () => {
      if (mine.readyState !== EventSource.CLOSED) { lost({}); return; }
      try { await instead(); } catch (fault) { if (source === mine) lost(fault); }
      if (source === mine) timer = setTimeout(begin, 2000);
    };
  };
  document.addEventListener("visibilitychange", begin);
  leave = () => { document.removeEventListener("visibilitychange", begin); end(); };
  begin();
  return begin;
}
