// Settings, log, audit, refusals, keys: tables to look at.

async function reload(again) {
  if (!(await sure("Read the settings again?", ["The settings file and the environment's files are read; plugins whose settings have changed start again. No row is lost, and with a fault nothing changes."], "Read them"))) return;
  const done = await ask("POST", "/v1/reload");
  say(`Generation ${done.generation}: ${done.changed.length ? `changed ${done.changed.join(", ")}` : "nothing has changed"}${done.restart.length ? `; only after a restart: ${done.restart.join(", ")}` : ""}.`);
  again();
}

function settings(main) {
  const box = el("div"), input = el("input", { type: "search", autocomplete: "off", oninput: () => redraw() });
  let found = null;
  const redraw = () => {
    const rows = found.settings.filter((s) => s.key.includes(input.value.trim().toLowerCase()));
    show(box, table("Settings", ["Setting", "In force", "From", "A reload changes it"],
      rows.map((s) => [el("code", null, s.key), s.value || el("span", { class: "quiet" }, "not set"), s.origin, s.reloadable ? "yes" : "no, a restart does"])));
  };
  const look = async () => { found = await ask("GET", "/v1/config"); redraw(); };
  show(main, el("div", { class: "row apart" }, el("h1", null, "Settings"), can("admin") ? button("Read again …", () => reload(() => look().catch(lost))) : null),
    el("form", { class: "filter", onsubmit: (e) => e.preventDefault() }, field("Name has", input, true)),
    el("p", { class: "quiet" }, "Options of pushers stand with each of them, under ", el("a", { href: "#/plugins" }, "Plugins"), "."), el("section", { class: "card" }, box));
  look().catch(lost);
}

function log(main) {
  const list = el("div", { class: "card", role: "log", "aria-label": "Log", tabindex: 0 });
  const level = el("select", { onchange: () => { after = 0; show(list); look().catch(lost); } }, [["debug", "everything"], ["warn", "warnings and errors"], ["error", "errors"]].map(([v, t]) => el("option", { value: v }, t)));
  let after = 0;
  const kinds = { error: "bad", warn: "warn" };
  const look = async () => {
    const found = await ask("GET", `/v1/log?level=${level.value}&after=${after}`);
    after = found.next;
    for (const line of found.lines) {
      const { time, level: grave, event, text, ...fields } = line;
      list.prepend(el("div", { class: "log" }, el("span", { class: "quiet" }, time ? moment(time) : ""), badge(grave, kinds[grave]),
        el("div", null, el("strong", null, event), ` ${text} `, el("span", { class: "quiet mono" }, Object.entries(fields).map(([k, v]) => `${k}=${typeof v === "string" ? v : JSON.stringify(v)}`).join(" ")))));
    }
    while (list.childNodes.length > 500) list.lastChild.remove();
  };
  show(main, el("h1", null, "Log"), el("form", { class: "filter" }, field("Show", level)), list);
  often(2000, look);
}

function audit(main) {
  const box = el("div");
  show(main, el("h1", null, "Audit"), el("p", { class: "quiet" }, "Who did what, newest first: the last hundred. ", el("code", null, "headgate audit"), " shows all that is kept."), el("section", { class: "card" }, box));
  if (!can("operate")) { put(box, el("p", null, "Only who may operate the gateway may see what was done.")); return; }
  ask("GET", "/v1/audit?limit=100").then(({ audit: found }) => show(box, found.length
    ? table("Audit", ["When", "Who", "What", ["Status", "number"], "Why"], found.slice().sort((a, b) => (a.time < b.time ? 1 : -1)).map((f) => [moment(f.time), [f.who, f.peer ? el("div", { class: "quiet" }, f.peer) : null], [f.action, f.path ? el("div", { class: "quiet" }, f.path) : null], f.status || "–", f.why || ""]))
    : el("p", { class: "quiet" }, "Nothing was done yet.")), lost);
}

function refusals(main) {
  const box = el("div");
  show(main, el("h1", null, "Refusals"), el("p", { class: "quiet" }, "The last hundred requests that were refused, newest first. No row of them was or will be delivered."), el("section", { class: "card" }, box));
  let before = "";
  often(3000, async () => {
    const found = (await ask("GET", "/v1/refusals")).refusals, now = JSON.stringify(found);
    if (now === before) return;
    before = now;
    show(box, found.length ? table("Refusals", ["When", "From", "Request", ["Status", "number"], "Why"], found.map((f) => [moment(f.time), f.peer || "–", [`${f.method || ""} ${f.path || ""}`, f.uuid ? el("div", { class: "quiet" }, `uuid ${f.uuid}`) : null], f.status,
      [f.detail || "", f.pointer ? el("div", null, el("code", null, f.pointer)) : null, f.line ? el("div", { class: "quiet" }, `line ${f.line}`) : null]])) : el("p", { class: "quiet" }, "Nothing was refused since the start."));
  });
}

function keys(main) {
  const box = el("div");
  show(main, el("h1", null, "Clients and keys"), el("p", { class: "quiet" }, "Keys are made and taken back with ", el("code", null, "headgate key add"), " and ", el("code", null, "headgate key revoke"), " on the machine itself."), el("section", { class: "card" }, box));
  const clients = el("div");
  main.append(el("section", { class: "card" }, el("h2", null, "Clients"), clients));
  if (can("read")) often(3000, async () => {
    const of = (n, words) => (n ? words(n) : "no limit"), found = (await ask("GET", "/v1/clients")).clients;
    refresh(clients, found.length
      ? table("Clients", ["Client", ["Undelivered", "number"], ["At most", "number"], ["Refused", "number"], ["Rows a second", "number"], ["Bytes a second", "number"], ["Lingers", "number"]], found.map((c) =>
        [c.name ? el("a", { href: `#/sets?client=${encodeURIComponent(c.name)}` }, c.name) : "others, together", bytes(c.undelivered_bytes), of(c.undelivered_limit, bytes), number(c.undelivered_refused), of(c.rows_per_second, number), of(c.bytes_per_second, bytes), seconds(c.keep_seconds)]))
      : el("p", { class: "quiet" }, "No client has sent anything yet, and none has limits of its own."));
  });
  if (!can("admin")) { put(box, el("p", null, "Only an admin may see who has a key.")); return; }
  ask("GET", "/v1/keys").then(({ keys: found }) => show(box, found.length
    ? table("Keys", ["Id", "Name", "May", "Client", "Made", "Valid until", "Used last"], found.map((k) => [el("code", null, k.id), k.name || "–", k.roles.join(", "), k.client || "everybody’s", moment(k.created), k.expires ? moment(k.expires) : "for ever", k.used ? ago(k.used) : "never"]))
    : el("p", { class: "quiet" }, "There is no key in force.")), lost);
}
