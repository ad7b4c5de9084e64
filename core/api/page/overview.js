// Is everything all right? One sentence, figures, each pusher, and how it went.

function troubles(all) {
  const bad = [], warn = [], journal = all.journal;
  if (!all.ready) bad.push(`No rows are taken: ${all.reason}.`);
  for (const p of all.pushers) {
    const [kind, words] = stateOf(p);
    if (p.state === "refused") warn.push(`The file ${p.name} was refused: ${p.error}.`);
    else if (kind === "bad") bad.push(`${p.name} ${words}${p.error ? ` (${p.error})` : ""}.`);
    if (kind === "warn" && p.state !== "starting") warn.push(`${p.name} ${words}; ${rowsOf(p.lag.rows)} behind.`);
    if (p.dead_letters) warn.push(`${plural(p.dead_letters, "dead letter")} of ${p.name} ${p.dead_letters === 1 ? "waits" : "wait"} for a decision.`);
  }
  for (const p of all.pullers)
    if (["broken", "retrying", "orphaned"].includes(p.state)) (p.state === "retrying" ? warn : bad).push(`${p.name} brings no rows in: ${p.error || p.state}.`);
  if (journal.bytes > 0.8 * journal.limit) warn.push(`The journal is at ${Math.round((100 * journal.bytes) / journal.limit)} % of its budget.`);
  if (journal.damages) bad.push(`${plural(journal.damages, "range")} of the journal could not be read.`);
  return [bad, warn];
}

function sentence(all) {
  const [bad, warn] = troubles(all), count = bad.length + warn.length;
  const kind = bad.length ? "bad" : warn.length ? "warn" : "good";
  const active = all.pushers.filter((p) => p.state !== "unconfigured").length;
  const text = !count ? `Everything is all right: rows are taken, and ${active === 1 ? "the pusher delivers" : `all ${active} pushers deliver`}.`
    : bad.length ? "Something needs you." : "Rows are taken, but not all is well.";
  return el("section", { class: `card verdict ${kind}`, "aria-live": "polite" },
    el("div", null, el("h1", null, text), count ? el("ul", null, [...bad, ...warn].map((line) => el("li", null, line))) : null));
}

// What the webhook is for; the sentence above says how things are.
function alerted(found) {
  if (!found.alerts.length && !found.error) return null;
  const how = (a) => (!found.webhook ? "" : a.told ? ", told" : ", not told yet");
  return el("section", { class: "card" }, el("h2", null, "Alerts"),
    el("ul", null, found.alerts.map((a) => el("li", null, `${a.text} (`, ago(a.since), `${how(a)})`))),
    found.error ? el("p", { class: "error" }, `${found.error}.`) : null);
}

const figure = (label, value, unit, more) =>
  el("div", { class: "card" }, el("div", { class: "label" }, label), el("div", { class: "figure" }, value, " ", el("small", null, unit)), more);

function figures(all) {
  const now = all.now, journal = all.journal;
  return el("div", { class: "grid" },
    figure("Rows in", short(now.rows_per_second), "rows/s"),
    figure("Data in", ...pace(now.bytes_per_second)),
    figure("Time to durable, half within", seconds(now.durable_p50), "", el("div", { class: "label" }, `99 of 100 within ${seconds(now.durable_p99)}`)),
    figure("Journal", bytes(journal.bytes), `of ${bytes(journal.limit)}`,
      bar([[Math.min(journal.bytes, journal.limit), journal.bytes > 0.8 * journal.limit ? "warn" : ""]], journal.limit,
        `${Math.round((100 * journal.bytes) / journal.limit)} percent of the budget`)));
}

function pusherCard(p) {
  const [kind, words] = stateOf(p);
  return el("section", { class: "card" },
    el("div", { class: "row apart" }, el("h3", null, el("a", { href: `#/plugins/${encodeURIComponent(p.name)}` }, p.name)), badge(p.state, kind)),
    el("p", { class: "quiet" }, `It ${words}.`),
    facts(["Delivers", `${short(p.rate)} rows/s`],
      ["Behind", p.lag.rows ? `${rowsOf(p.lag.rows)}, ${seconds(p.lag.seconds)}, ${bytes(p.lag.bytes)}` : "nothing"],
      ["Retries", number(p.retries)],
      ["Dead letters", p.dead_letters ? el("a", { href: `#/dead?pusher=${encodeURIComponent(p.name)}` }, number(p.dead_letters)) : "none"],
      ["Delivered", number(p.delivered)]),
    p.error ? el("p", { class: "error" }, el("span", { class: "unseen" }, "Last error: "), p.error) : null);
}

function pullerCard(p) {
  return el("section", { class: "card" },
    el("div", { class: "row apart" }, el("h3", null, el("a", { href: `#/plugins/${encodeURIComponent(p.name)}` }, p.name)), badge(p.state, stateOf(p)[0])),
    facts(["Brought in", rowsOf(p.rows)], ["Runs", number(p.runs)], ["Refused", number(p.refused)], ["Last run", p.last_run ? ago(p.last_run) : "never"], ["Next run", p.next_run ? moment(p.next_run) : "–"]),
    p.error && p.state !== "running" ? el("p", { class: "error" }, p.error) : null);
}

function graphs(found) {
  const names = Object.keys(found.pushers).slice(0, 6);
  const of = (what) => names.map((name, i) => ({ name, values: found.pushers[name][what], class: `c${i + 1}` }));
  if (!found.rows.length) return el("p", { class: "quiet" }, `The first point comes ${seconds(found.step)} after the start.`);
  return el("div", { class: "grid wide" },
    chart("Rows in, a second", [{ name: "rows", values: found.rows, class: "c1" }], found, short),
    chart("Data in", [{ name: "data", values: found.bytes, class: "c1" }], found, (n) => pace(n).join(" ")),
    chart("Time to durable", [{ name: "half within", values: found.p50, class: "c1" }, { name: "99 of 100 within", values: found.p99, class: "c2" }], found, seconds),
    names.length ? chart("Rows delivered, a second", of("delivered"), found, short) : null,
    names.length ? chart("Rows behind", of("lag"), found, short) : null,
    names.length ? chart("Retries, a second", of("retries"), found, short) : null);
}

let span = "hour";
function overview(main) {
  const live = el("div"), picture = el("div"), choice = el("div", { class: "switch", role: "group", "aria-label": "Time span" });
  for (const [word, text] of [["minute", "last minute"], ["hour", "last hour"], ["day", "last day"]])
    choice.append(el("button", { type: "button", "aria-pressed": String(word === span), onclick: (e) => {
      span = word;
      for (const b of choice.children) b.setAttribute("aria-pressed", String(b === e.target));
      again();
    } }, text));
  show(main, live, el("div", { class: "row apart" }, el("h2", null, "How it went"), choice), el("p"), picture);
  let told = { alerts: [] };
  const state = (all) => {
    const active = all.pushers.filter((p) => p.state !== "refused" && p.state !== "unconfigured"), others = [...all.pushers, ...all.pullers].filter((p) => p.state === "unconfigured");
    const pullers = all.pullers.filter((p) => p.state !== "unconfigured");
    refresh(live, sentence(all), alerted(told), figures(all), el("h2", null, "Pushers"),
      active.length ? el("div", { class: "grid wide" }, active.map(pusherCard)) : el("p", null, "There is no pusher that runs."),
      pullers.length ? [el("h2", null, "Pullers"), el("div", { class: "grid wide" }, pullers.map(pullerCard))] : null,
      others.length ? el("p", { class: "quiet" }, "Not configured: ", others.map((p, i) => [i ? ", " : "", el("a", { href: `#/plugins/${encodeURIComponent(p.name)}` }, p.name)]), ".") : null);
  };
  const history = (found) => show(picture, graphs(found));
  const again = follow(() => query("/v1/watch", { span }), { alerts: (found) => { told = found; }, pushers: state, history }, async () => {
    told = await ask("GET", "/v1/alerts");
    state(await glance("/v1/pushers"));
    history(await glance(`/v1/history?span=${span}`));
  });
}
