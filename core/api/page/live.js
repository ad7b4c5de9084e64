// What passes, while it passes.

const EVENTS_SHOWN = 200;

function takenLine(set) {
  return el("div", { class: "event" }, el("span", { class: "quiet" }, clock(set.received)), badge("taken"),
    el("div", null, el("a", { href: `#/sets?find=${encodeURIComponent(set.id)}` }, set.uuid), ` ${rowsOf(set.rows)}`, set.client ? ` of ${set.client}` : "",
      set.data.map((r) => el("div", { class: "mono quiet" }, r.index === undefined ? "" : `${r.index}: `, JSON.stringify(r.data).slice(0, 300))),
      set.more > 0 && set.data.length ? el("div", { class: "quiet" }, `and ${rowsOf(set.more)} more`) : null));
}

function verdictLine({ pusher, receipt }) {
  const at = receipt.pushers[pusher] || {}, words = [[at.delivered, "delivered"], [at.duplicate, "there already"], [at.skipped, "skipped"], [at.dead, "dead"]]
    .filter(([n]) => n).map(([n, what]) => `${number(n)} ${what}`).join(", ");
  const kind = at.dead ? "bad" : at.state === "settled" ? "good" : "warn";
  return el("div", { class: "event" }, el("span", { class: "quiet" }, new Date().toLocaleTimeString("en-GB")), badge(at.state || "?", kind),
    el("div", null, el("strong", null, pusher), ": ", el("a", { href: `#/sets?find=${encodeURIComponent(receipt.id)}` }, receipt.uuid), ` ${words}`,
      at.error && at.state !== "settled" ? el("div", { class: "error" }, at.error) : null));
}

const missedLine = (missed) => el("div", { class: "event" }, el("span"), badge("missed", "warn"),
  el("div", { class: "quiet" }, [missed.rows ? `${rowsOf(missed.rows)} came too fast to be shown` : "", missed.events ? `${plural(missed.events, "event")} were lost on the way here` : ""].filter(Boolean).join("; ")));

function live(main, parameters) {
  const filter = Object.fromEntries(["uuid", "pusher", "client"].map((k) => [k, parameters.get(k) || ""]));
  const list = el("div", { class: "card", role: "log", "aria-label": "What passes", tabindex: 0 }), state = el("span", { class: "quiet", role: "status" }, "connecting …");
  const input = (name) => el("input", { name, value: filter[name], autocomplete: "off" });
  const form = el("form", { class: "filter", onsubmit: (e) => { e.preventDefault(); go("live", Object.fromEntries(new FormData(form))); } },
    field("uuid", input("uuid"), true), field("Pusher", input("pusher")), field("Client", input("client")), el("button", null, "Filter"));
  let held = false;
  const hold = el("button", { type: "button", "aria-pressed": "false", onclick: () => { held = !held; hold.setAttribute("aria-pressed", String(held)); show(hold, held ? "Go on" : "Hold"); } }, "Hold");
  show(main, el("h1", null, "Live"), form, el("div", { class: "row apart" }, state, hold), el("p"), list);
  const source = new EventSource(query("/v1/tap", filter));
  const add = (make) => (e) => {
    if (held) return;
    list.prepend(make(JSON.parse(e.data)));
    while (list.childNodes.length > EVENTS_SHOWN) list.lastChild.remove();
  };
  source.onopen = () => show(state, "Watching. Where much passes, a sample is shown.");
  source.onerror = () => { show(state, "The connection is gone; trying again."); };
  source.addEventListener("taken", add(takenLine));
  source.addEventListener("verdict", add(verdictLine));
  source.addEventListener("missed", add(missedLine));
  leave = () => source.close();
}
