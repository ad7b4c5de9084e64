// One row set, all of a uuid, or those of a client and a time: where each pusher is with it, its rows, what happened.

const OUTCOMES = { pending: ["warn", "on its way"], delivered: ["good", "delivered everywhere"], dead: ["bad", "dead letters"], mixed: ["warn", "delivered in part"] };

const STEER = {
  "mark-delivered": { button: "Mark as delivered …", title: "Mark as delivered?", yes: "Mark", done: "marked as delivered", said: "marked as delivered",
    lines: (n, name) => [`${rowsOf(n)} will be taken for delivered. ${name} is not given them any more.`] },
  "mark-pending": { button: "Deliver again …", title: "Deliver again?", yes: "Send", done: "on their way again", said: "sent again",
    lines: (n, name) => [`${rowsOf(n)} will go to ${name} again, with the same ids.`] },
  purge: { button: "Give up …", title: "Give up for good?", yes: "Give up", done: "given up", said: "given up", danger: true,
    lines: (n, name) => [`${rowsOf(n)} will not go to ${name}, and are given up for good. The receipt keeps saying so.`] },
};

// First how many it would be, then the question, then the deed.
async function steer(receipt, name, action, again) {
  const words = STEER[action], path = `/v1/batches/${encodeURIComponent(receipt.id)}/pushers/${encodeURIComponent(name)}/${action}`;
  const dry = await ask("POST", `${path}?dry-run=yes`);
  if (!dry.marked) { say("There is no row that this would change."); return; }
  if (!(await sure(words.title, words.lines(dry.marked, name), `${words.yes} ${rowsOf(dry.marked)}`, words.danger))) return;
  const did = await ask("POST", path);
  await again();
  say(`${rowsOf(did.marked)} ${words.done}.`);
}

function lane(receipt, name, at, again) {
  const settled = at.delivered + at.duplicate + at.skipped + at.dead, open = Math.max(receipt.rows - settled, 0);
  const hand = at.by_hand || 0, gone = at.given_up || 0;
  const parts = [[at.delivered - hand, "good", "delivered"], [hand, "calm", "marked as delivered"], [at.duplicate, "good", "there already"],
    [at.skipped - gone, "calm", "skipped"], [gone, "bad", "given up"],
    [at.dead, "bad", at.dead === 1 ? "dead letter" : "dead letters"], [at.state === "settled" ? 0 : open, "warn", "open"]];
  const words = parts.filter(([n]) => n).map(([n, , what]) => `${number(n)} ${what}`).join(", ") || "no rows";
  return el("div", { class: "lane" },
    el("div", null, el("strong", null, name), el("div", null, badge(at.state, at.state === "settled" ? (at.dead || at.given_up ? "bad" : "good") : "warn"))),
    el("div", null, bar(parts, Math.max(receipt.rows, 1), `${name}: ${words}`),
      el("div", null, words, at.attempts > 1 ? `, ${plural(at.attempts, "try", "tries")}` : ""),
      at.error ? el("div", { class: "error" }, at.error) : null,
      at.since ? el("div", { class: "quiet" }, "so since ", moment(at.since)) : null,
      (at.steered || []).map((s) => el("div", { class: "quiet" }, `${rowsOf(s.rows)} ${STEER[s.action]?.said || s.action} by ${s.who}${s.why ? ` (${s.why})` : ""}, `, moment(s.time))),
      can("operate") ? el("div", { class: "row" }, Object.entries(STEER).map(([action, words]) =>
        button(words.button, () => steer(receipt, name, action, again), { class: words.danger ? "danger" : "", label: `${words.button} ${name}` }))) : null));
}

async function rowsOfSet(receipt, box) {
  const found = await ask("GET", `/v1/batches/${encodeURIComponent(receipt.id)}/rows`, undefined, exactly);
  const left = receipt.rows - found.rows.length;
  show(box, found.rows.map((r) => el("div", null, r.index === undefined ? null : el("div", { class: "quiet" }, `index ${r.index}`), json(r.data))),
    left > 0 ? el("p", { class: "quiet" }, `and ${number(left)} more; the command headgate receipt tells where they are`) : null);
}

function receiptCard(receipt, alone) {
  const [kind, words] = OUTCOMES[receipt.outcome] || ["", receipt.outcome];
  const names = Object.keys(receipt.pushers), rows = el("div"), tags = Object.entries(receipt.tags || {});
  const more = el("details", { open: alone, ontoggle: (e) => { if (e.target.open && !rows.childNodes.length) rowsOfSet(receipt, rows).catch((fault) => show(rows, fault.message)); } },
    el("summary", null, `Its ${rowsOf(receipt.rows)}`), rows);
  if (alone) rowsOfSet(receipt, rows).catch((fault) => show(rows, fault.message));
  const again = async () => card.replaceWith(receiptCard(await ask("GET", `/v1/batches/${encodeURIComponent(receipt.id)}`), alone));
  const card = el("section", { class: "card" },
    el("div", { class: "row apart" }, el("h2", { class: "mono" }, el("a", { href: `#/sets?find=${encodeURIComponent(receipt.id)}` }, receipt.id)), badge(words, kind)),
    facts(["uuid", el("a", { href: `#/sets?find=${encodeURIComponent(receipt.uuid)}` }, receipt.uuid)], ...(receipt.client ? [["Client", receipt.client]] : []), ["Rows", number(receipt.rows)], ["Received", moment(receipt.received)],
      ...tags.map(([name, value]) => [`tag ${name}`, value])),
    el("div", null, el("p"), names.length ? names.map((name) => lane(receipt, name, receipt.pushers[name], again)) : el("p", { class: "quiet" }, "No pusher takes it.")),
    receipt.outcome === "dead" || receipt.outcome === "mixed" ? el("p", null, el("a", { href: `#/dead?uuid=${encodeURIComponent(receipt.uuid)}` }, "Its dead letters")) : null, more);
  return card;
}

async function findSets(words, box, after) {
  const id = /^[0-9a-z]{26}-[0-9a-z]{13}$/.test(words);
  if (id) {
    show(box, receiptCard(await ask("GET", `/v1/batches/${encodeURIComponent(words)}`), true));
    return;
  }
  const found = await ask("GET", query(`/v1/receipts/${encodeURIComponent(words)}`, { after }));
  if (!after) show(box, el("p", { class: "quiet" }, `Row sets of uuid ${words}, newest first.`));
  put(box, found.batches.map((receipt) => receiptCard(receipt, false)));
  if (found.next) {
    const more = button("Older ones", async () => { more.remove(); await findSets(words, box, found.next); });
    box.append(more);
  }
}

// Newest first, by client and time. One request looks at a bounded part of the journal: an empty page may have a next.
async function listSets(wish, box, after) {
  const found = await ask("GET", query("/v1/rowsets", { ...wish, after }));
  if (!after && !found.batches.length && !found.next) put(box, el("p", { class: "quiet" }, "No such row set is here."));
  put(box, found.batches.map((receipt) => receiptCard(receipt, false)));
  if (found.next) {
    const more = button("Older ones", async () => { more.remove(); await listSets(wish, box, found.next); });
    box.append(more);
  }
}

// What a field for a moment holds is the time of whoever looks; the gateway's is UTC.
const utc = (local) => (local ? new Date(local).toISOString() : "");

function sets(main, parameters) {
  const words = parameters.get("find") || "", box = el("div");
  const wish = Object.fromEntries(["client", "from", "to"].map((k) => [k, parameters.get(k) || ""]));
  const input = el("input", { name: "find", value: words, autocomplete: "off", spellcheck: "false", required: true });
  const client = el("input", { name: "client", value: wish.client, autocomplete: "off", spellcheck: "false" });
  const at = (name) => el("input", { name, type: "datetime-local", step: 1, value: wish[name] });
  const from = at("from"), to = at("to");
  show(main, el("h1", null, "Row sets"),
    el("form", { class: "filter", onsubmit: (e) => { e.preventDefault(); go("sets", { find: input.value.trim() }); } },
      field("uuid, or the id that came with the 202", input, true), el("button", { class: "main" }, "Find")),
    el("form", { class: "filter", onsubmit: (e) => { e.preventDefault(); go("sets", { client: client.value.trim(), from: from.value, to: to.value }); } },
      me.client ? null : field("Client", client), field("Received from", from), field("before", to), el("button", null, "List")), box);
  const failed = (fault) => show(box, el("p", { class: "error" }, fault.message));
  if (words) { findSets(words, box).catch(failed); return; }
  put(box, el("p", { class: "quiet" }, "A row set is what one request has brought under one uuid. These are the newest; to see what comes in just now, look at ", el("a", { href: "#/live" }, "Live"), "."));
  input.focus();
  listSets({ client: wish.client, from: utc(wish.from), to: utc(wish.to) }, box).catch(failed);
}
