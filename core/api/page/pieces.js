// Pieces that several views are made of.

const STATES = {
  running: ["good", "delivers"], starting: ["warn", "is starting"], retrying: ["warn", "tries again: its far end does not take rows"],
  paused: ["warn", "is paused: its rows wait"], broken: ["bad", "is broken: its rows wait for you"],
  orphaned: ["bad", "has lost its plugin file: its rows wait"], refused: ["bad", "is a file that was refused"],
  unconfigured: ["", "is not configured"],
};
const PULLER_WORDS = { running: "brings rows in", retrying: "tries again: its far end does not answer", paused: "is paused: it brings no rows in", broken: "is broken: it brings no rows in", orphaned: "has lost its plugin file" };
const pulls = (p) => p.lag === undefined;
// Its colour, and what it does in words.
function stateOf(p) {
  const [kind, words] = STATES[p.state] || ["", p.state];
  return [kind, pulls(p) && PULLER_WORDS[p.state] ? PULLER_WORDS[p.state] : words];
}
const badge = (text, kind) => el("span", { class: `badge ${kind || ""}` }, text);

function fact(name, value) {
  return [el("div", null, el("dt", null, name), el("dd", null, value))];
}
const facts = (...pairs) => el("dl", { class: "facts" }, pairs.map(([name, value]) => fact(name, value)));

// A share as a bar; parts are [amount, kind, what it is].
function bar(parts, total, label) {
  const box = el("div", { class: "bar", role: "img", "aria-label": label });
  for (const [amount, kind] of parts) {
    if (!amount) continue;
    const part = el("span", { class: kind });
    part.style.width = `${(100 * amount) / total}%`;
    box.append(part);
  }
  return box;
}

// headings: text, or [text, "number"]; rows of cells.
function table(caption, headings, rows, options = {}) {
  const kinds = headings.map((h) => (Array.isArray(h) ? h[1] : ""));
  return el("div", { class: "scroll", tabindex: options.focus === false ? null : 0, role: "region", "aria-label": caption },
    el("table", { class: "fold" }, el("caption", { class: "unseen" }, caption),
      el("thead", null, el("tr", null, headings.map((h, i) => el("th", { scope: "col", class: kinds[i] }, Array.isArray(h) ? h[0] : h)))),
      el("tbody", null, rows.map((cells) => el("tr", null, cells.map((cell, i) => el("td", { class: kinds[i] }, cell)))))));
}

function field(label, input, grow) {
  return el("label", { class: grow ? "grow" : "" }, label, input);
}

// JSON for people, with the keys that `named` names marked.
function json(value, named = []) {
  const parts = JSON.stringify(value, null, 2).split(/("(?:[^"\\]|\\.)*"\s*:)/);
  return el("pre", { class: "json", tabindex: 0 }, parts.map((part) => {
    const key = /^"((?:[^"\\]|\\.)*)"\s*:$/.exec(part);
    return key && named.includes(key[1]) ? el("mark", null, part) : part;
  }));
}

// A line chart. series: [{name, values, class}], oldest value first; null where there is none.
function chart(title, series, span, write) {
  const width = 560, height = 170, left = 54, top = 8, bottom = 22;
  const all = series.flatMap((s) => s.values).filter((v) => v !== null);
  const most = Math.max(...all, 0), scale = nice(most);
  const x = (i) => left + ((width - left - 6) * (span.points - series[0].values.length + i)) / (span.points - 1);
  const y = (v) => top + (height - top - bottom) * (1 - v / scale);
  const box = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": chartText(title, series, write) });
  for (const share of [0, 0.5, 1])
    box.append(draw("line", { class: "axis", x1: left, x2: width - 6, y1: y(scale * share), y2: y(scale * share) }),
      draw("text", { x: left - 6, y: y(scale * share) + 4, "text-anchor": "end" }, write(scale * share)));
  const total = span.points * span.step;
  for (const share of [0, 0.5, 1])
    box.append(draw("text", { x: left + (width - left - 6) * share, y: height - 5, "text-anchor": ["start", "middle", "end"][share * 2] },
      share === 1 ? "now" : `${seconds(total * (1 - share))} ago`));
  for (const s of series) box.append(...lines(s, x, y, series.length === 1));
  return el("section", { class: "card" }, el("h3", null, title), box, series.length > 1 ? legend(series) : null);
}

function lines(s, x, y, area) {
  const runs = [];
  s.values.forEach((v, i) => {
    if (v === null) return;
    if (i === 0 || s.values[i - 1] === null || !runs.length) runs.push([]);
    runs[runs.length - 1].push(`${x(i).toFixed(1)},${y(v).toFixed(1)}`);
  });
  return runs.flatMap((run) => {
    const line = run.length > 1 ? draw("polyline", { class: `line ${s.class}`, points: run.join(" ") })
      : draw("circle", { class: s.class, cx: run[0].split(",")[0], cy: run[0].split(",")[1], r: 1.6 });
    const from = run[0].split(",")[0], to = run[run.length - 1].split(",")[0];
    return area ? [draw("polygon", { class: `area ${s.class}`, points: `${from},${y(0)} ${run.join(" ")} ${to},${y(0)}` }), line] : [line];
  }).map((node) => { if (node.classList.contains("line")) node.setAttribute("fill", "none"); return node; });
}

function nice(most) {
  if (!(most > 0)) return 1;
  const size = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 5, 10].map((n) => n * size).find((n) => n >= most);
}

function chartText(title, series, write) {
  return `${title}: ` + series.map((s) => {
    const there = s.values.filter((v) => v !== null);
    return there.length ? `${s.name} now ${write(there[there.length - 1])}, at most ${write(Math.max(...there))}` : `${s.name} nothing yet`;
  }).join("; ");
}

function legend(series) {
  return el("div", { class: "legend" }, series.map((s) => el("span", null,
    draw("svg", { viewBox: "0 0 14 10", "aria-hidden": "true" }, draw("rect", { class: s.class, y: 3, width: 14, height: 4, rx: 2 })), s.name)));
}
