// Dead letters: by reason; one looked at, mended, sent again; many sent again or dropped, after saying how many.

const TOGETHER = 1000; // letters fetched for grouping
const reasonKind = (reason) => reason.replace(/[0-9a-z]{26}-[0-9a-z-]+/g, "…").replace(/\b\d+\b/g, "N");

// Keys of the data that the reason speaks of.
function namedIn(reason, data) {
  return Object.keys(data || {}).filter((key) => new RegExp(`(^|[^A-Za-z0-9_])${key.replace(/[^\w]/g, "\\$&")}($|[^A-Za-z0-9_])`).test(reason));
}

async function openLetter(letter, box, done) {
  const whole = await ask("GET", `/v1/dead-letters/${encodeURIComponent(letter.id)}`, undefined, exactly);
  const named = namedIn(whole.reason, whole.data), text = JSON.stringify(whole.data, null, 2);
  const input = el("textarea", { spellcheck: "false" }), fault = el("p", { class: "error", role: "alert" });
  input.value = text;
  const send = async () => {
    show(fault);
    try { JSON.parse(input.value); } catch (e) { show(fault, `This is not JSON: ${e.message}`); return; }
    const changed = input.value !== text;
    if (!(await sure("Send it again?", [`1 row goes to ${whole.pusher} again${changed ? ", with your changes and under a new id" : ""}.`], "Send 1 row"))) return;
    try { await ask("POST", `/v1/dead-letters/${encodeURIComponent(letter.id)}/retry`, changed ? `{"data":${input.value}}` : undefined); }
    catch (e) { show(fault, e.message); return; }
    say("Sent again.");
    done();
  };
  const drop = async () => {
    if (!(await sure("Drop it?", [`1 dead letter of ${whole.pusher} is given up for good.`], "Drop 1 row", true))) return;
    await ask("DELETE", `/v1/dead-letters/${encodeURIComponent(letter.id)}`);
    say("Dropped.");
    done();
  };
  show(box, el("div", { class: "letter" },
    el("p", { class: "error" }, whole.reason),
    facts(["uuid", el("a", { href: `#/sets?find=${encodeURIComponent(whole.uuid)}` }, whole.uuid)], ["Since", moment(whole.since)], ["Received", moment(whole.received)],
      ["Tries", number(whole.attempts)], ["Came back", whole.returned ? `${plural(whole.returned, "time")}` : "never"],
      ...(whole.index === undefined ? [] : [["index", number(whole.index)]]), ...Object.entries(whole.tags || {}).map(([k, v]) => [`tag ${k}`, v])),
    json(whole.data, named),
    named.length ? el("p", { class: "quiet" }, `Marked: what the reason speaks of (${named.join(", ")}).`) : null,
    can("operate") ? [el("details", null, el("summary", null, "Change it"),
      JSON.rawJSON ? null : el("p", { class: "error" }, "This browser may round numbers with very many digits; headgate dead retry does not."), field("data", input)), fault,
      el("div", { class: "row" }, button("Send again …", send, { class: "main" }), button("Drop …", drop, { class: "danger" }))] : null));
}

function letterLine(letter, done) {
  const box = el("div");
  const node = el("details", null,
    el("summary", null, el("span", { class: "mono" }, letter.uuid), " ", letter.index === undefined ? null : `index ${letter.index} `,
      letter.returned ? badge(`came back ${plural(letter.returned, "time")}`, "warn") : null, " ", el("span", { class: "quiet" }, ago(letter.since))), box);
  node.addEventListener("toggle", () => { if (node.open && !box.childNodes.length) openLetter(letter, box, done).catch((fault) => show(box, el("p", { class: "error" }, fault.message))); });
  return node;
}

// All that a filter matches, a page of it with each request. How many they were, and with how many it was done.
async function through(path, parameters) {
  const sum = { matched: 0, done: 0 };
  for (let after = ""; after !== null;) {
    const part = await ask("POST", query(path, { ...parameters, after }));
    sum.matched += part.matched;
    sum.done += part.dropped ?? part.retried;
    after = part.next ?? null;
  }
  return sum;
}

// First how many it would be, then the question, then the deed.
async function bulk(filter, drop, done) {
  const path = `/v1/dead-letters/${drop ? "drop" : "retry"}`, all = Object.values(filter).some(Boolean) ? undefined : "yes";
  const dry = await through(path, { ...filter, all, "dry-run": "yes" });
  const from = filter.pusher ? ` of ${filter.pusher}` : " of all pushers", why = filter.reason ? ` whose reason has “${filter.reason}” in it` : "";
  if (!dry.matched) { say("There is none that fits."); return; }
  const lines = drop ? [`${plural(dry.matched, "dead letter")}${from}${why} will be given up for good. This cannot be undone.`]
    : [`${plural(dry.matched, "dead letter")}${from}${why} will be sent again. What is refused again comes back here.`];
  if (!(await sure(drop ? "Drop them?" : "Send them again?", lines, `${drop ? "Drop" : "Send"} ${rowsOf(dry.matched)}`, drop))) return;
  const did = await through(path, { ...filter, all });
  say(`${rowsOf(did.done)} ${drop ? "dropped" : "sent again"}.`);
  done();
}

async function exportLetters(filter) {
  const lines = [];
  for (let after = ""; after !== null;) {
    const page = await ask("GET", query("/v1/dead-letters", { ...filter, after, limit: "1000" }));
    for (const letter of page.dead) lines.push(JSON.stringify(await ask("GET", `/v1/dead-letters/${encodeURIComponent(letter.id)}`, undefined, exactly)) + "\n");
    after = page.next;
  }
  const link = el("a", { href: URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" })), download: "dead-letters.ndjson" });
  link.click();
  URL.revokeObjectURL(link.href);
  say(`${rowsOf(lines.length)} exported.`);
}

function groupOf(pusher, kind, letters, filter, done) {
  const box = el("div"), own = { ...filter, pusher, reason: letters[0].reason === kind ? kind : filter.reason };
  letters.slice(0, 50).forEach((letter) => box.append(letterLine(letter, done)));
  if (letters.length > 50) box.append(el("p", { class: "quiet" }, `and ${number(letters.length - 50)} more of this kind`));
  const exact = own.reason === kind;
  return el("div", { class: "group" },
    el("div", { class: "row apart" }, el("h2", null, `${plural(letters.length, "row")} · ${pusher}`),
      exact && can("operate") ? el("div", { class: "row" }, button("Send these again …", () => bulk(own, false, done), { label: `Send again: ${kind}` }),
        button("Drop these …", () => bulk(own, true, done), { class: "danger", label: `Drop: ${kind}` })) : null),
    el("p", { class: "error" }, kind), box);
}

async function listLetters(filter, box, done) {
  const found = await ask("GET", query("/v1/dead-letters", { ...filter, limit: String(TOGETHER) }));
  const groups = new Map();
  for (const letter of found.dead) {
    const key = `${letter.pusher}\n${reasonKind(letter.reason)}`;
    groups.set(key, [...(groups.get(key) || []), letter]);
  }
  if (!found.dead.length) { show(box, el("p", { class: "card" }, "No dead letters. Every row that was taken was delivered, or is on its way.")); return; }
  const sorted = [...groups.entries()].sort((a, b) => b[1].length - a[1].length);
  show(box,
    el("div", { class: "row apart" }, el("p", null, `${plural(found.next ? found.total : found.dead.length, "dead letter")}`, found.next ? `; the first ${number(found.dead.length)} are grouped here` : ""),
      el("div", { class: "row" }, button("Export", () => exportLetters(filter)),
        can("operate") ? [button("Send all again …", () => bulk(filter, false, done), { class: "main" }), button("Drop all …", () => bulk(filter, true, done), { class: "danger" })] : null)),
    el("section", { class: "card" }, sorted.map(([key, letters]) => groupOf(letters[0].pusher, letters.length === 1 ? letters[0].reason : key.split("\n")[1], letters, filter, done))));
}

function dead(main, parameters) {
  const filter = Object.fromEntries(["pusher", "reason", "uuid", "since"].map((k) => [k, parameters.get(k) || ""])), box = el("div");
  const select = el("select", { name: "pusher" }, el("option", { value: "" }, "all"));
  const input = (name, example) => el("input", { name, value: filter[name], placeholder: example, autocomplete: "off" });
  const form = el("form", { class: "filter", onsubmit: (e) => { e.preventDefault(); go("dead", Object.fromEntries(new FormData(form))); } },
    field("Pusher", select), field("Reason has", input("reason"), true), field("uuid", input("uuid"), true), field("Since", input("since", "2h")), el("button", null, "Filter"));
  show(main, el("h1", null, "Dead letters"), el("p", { class: "quiet" }, "Rows that a destination has refused, with the reason. They wait here until somebody decides."), form, box);
  const again = () => listLetters(filter, box, again).catch((fault) => show(box, el("p", { class: "error" }, fault.message)));
  if (!me.client) ask("GET", "/v1/pushers").then((all) => { for (const p of all.pushers) select.append(el("option", { value: p.name, selected: p.name === filter.pusher }, p.name)); }, lost);
  again();
  // What was sent again leaves, or comes back, a moment later. What somebody reads stays where it is.
  often(2000, async () => {
    if (!box.querySelector("details[open]") && !box.contains(document.activeElement) && !document.querySelector("dialog[open]")) await listLetters(filter, box, again);
  });
}
