// Pushers and their plugins: what they are, what is set, how their process is, and what can be done with them.

async function act(pusher, word, title, lines, yes, again) {
  if (!(await sure(title, lines, yes))) return;
  await ask("POST", `/v1/pushers/${encodeURIComponent(pusher.name)}/${word}`);
  say("Done.");
  await again();
}

async function forget(pusher, keep) {
  const rows = rowsOf(pusher.lag.rows);
  const lines = [keep ? `${rows} that it has not taken become dead letters.` : `${rows} that it has not taken are given up for good. This cannot be undone.`,
    "What comes from now on is not for it, until it is configured again."];
  if (!(await sure(`Let ${pusher.name} go?`, lines, keep ? `Keep ${rows} as dead letters` : `Give up ${rows}`, !keep))) return;
  await ask("DELETE", query(`/v1/pushers/${encodeURIComponent(pusher.name)}`, { "dead-letter": keep ? "yes" : "" }));
  say(`${pusher.name} was let go.`);
  go("plugins", {});
}

// Of a puller: what it does is to bring rows in, so nothing of it waits.
function pullerActions(p, again) {
  if (!can("operate")) return null;
  return el("div", { class: "row" }, p.state === "paused" || p.state === "broken"
    ? button("Resume …", () => act(p, "resume", `Resume ${p.name}?`, [`It brings rows in again; it has brought ${rowsOf(p.rows)} so far.`], "Resume", again), { class: "main" })
    : button("Pause …", () => act(p, "pause", `Pause ${p.name}?`, [`It brings no more rows in until it is resumed; it has brought ${rowsOf(p.rows)} so far.`], "Pause", again)));
}

function figuresOf(p) {
  if (pulls(p))
    return [["Brought in", rowsOf(p.rows)], ["Row sets", number(p.sets)], ["Runs", number(p.runs)], ["Every", p.every || "–"], ["Refused", number(p.refused)], ["Last run", p.last_run ? moment(p.last_run) : "never"], ["Next run", p.next_run ? moment(p.next_run) : "–"]];
  return [["Workers", number(p.workers)], ["Delivers", `${short(p.rate)} rows/s`], ["Behind", p.lag.rows ? `${rowsOf(p.lag.rows)}, ${seconds(p.lag.seconds)}` : "nothing"],
    ["Delivered", number(p.delivered)], ["There already", number(p.duplicate)], ["Skipped", number(p.skipped)], ["Retries", number(p.retries)], ["Parked", number(p.parked)], ["Given up", number(p.given_up)],
    ["Dead letters", p.dead_letters ? el("a", { href: `#/dead?pusher=${encodeURIComponent(p.name)}` }, number(p.dead_letters)) : "none"]];
}

function actions(p, again) {
  const rows = rowsOf(p.lag.rows), probe = async () => {
    const found = await ask("POST", `/v1/pushers/${encodeURIComponent(p.name)}/probe`);
    say(found.reachable ? `Its far end answers. ${found.text}` : `Its far end does not answer: ${found.text}`);
  };
  if (!can("operate")) return null;
  return el("div", { class: "row" },
    p.state === "paused" || p.state === "broken"
      ? button("Resume …", () => act(p, "resume", `Resume ${p.name}?`, [`It delivers again; ${rows} wait for it.`], "Resume", again), { class: "main" })
      : button("Pause …", () => act(p, "pause", `Pause ${p.name}?`, [`It takes no more rows until it is resumed; ${rows} are behind now, and what comes in waits on disk.`], "Pause", again)),
    button("Send again now …", () => act(p, "retry", "Try again now?", [`What waits for its time is tried at once: ${rows} are behind, ${rowsOf(p.waiting)} wait for another try, ${rowsOf(p.parked)} are parked.`], "Try now", again)),
    button("Probe", probe),
    can("admin") ? [button("Forget, keep its rows …", () => forget(p, true), { class: "danger" }), button("Forget …", () => forget(p, false), { class: "danger" })] : null);
}

function optionRows(p, plugins) {
  const about = plugins.plugins.find((f) => f.name === p.plugin && !f.refused);
  const set = new Map(p.options.map((o) => [o.name, o]));
  const known = [...(about?.options || []), ...plugins.common];
  const rows = known.map((o) => {
    const own = set.get(o.name);
    const value = own ? own.value : o.default || "not set";
    return [el("code", null, o.name), el("span", { class: own && own.origin !== "default" ? "" : "quiet" }, o.secret && own ? "(hidden)" : value),
      own ? own.origin : "default", o.default || "–", [o.text, o.limits ? el("span", { class: "quiet" }, ` (${o.limits.replaceAll("|", ", ")})`) : null, o.required ? " Required." : ""]];
  });
  return table(`Options of ${p.name}`, ["Option", "In force", "From", "Default", "What it is"], rows);
}

async function onePlugin(main, name) {
  const here = current;
  const top = el("div"), below = el("div");
  const head = async () => {
    const p = await ask("GET", `/v1/pushers/${encodeURIComponent(name)}`), [kind, words] = stateOf(p), why = p.restart_reasons || {};
    const reasons = [["crash", "crashed"], ["deadline", "killed at its deadline"], ["memory", "killed above MEMORY_MAX"], ["other", "ended otherwise"]].filter(([k]) => why[k]).map(([k, w]) => `${number(why[k])} ${w}`).join(", ");
    show(top, el("section", { class: "card" },
      el("div", { class: "row apart" }, el("h1", null, p.name), badge(p.state, kind)), el("p", null, `It ${words}, since `, moment(p.since), "."),
      p.error ? el("p", { class: "error" }, p.error) : null,
      facts(["Plugin", `${p.plugin} ${p.version}`], ["Process", p.pid ? `${p.pid}${p.confined ? ", confined" : ", not confined"}` : "none"], ["Memory", bytes(p.memory)],
        ["Restarts", p.restarts ? [number(p.restarts), reasons ? `: ${reasons}` : ""] : "none"], ...figuresOf(p)),
      el("p"), pulls(p) ? pullerActions(p, head) : actions(p, head)));
    return p;
  };
  show(main, el("p", null, el("a", { href: "#/plugins" }, "← All plugins")), top, below);
  const p = await head(), plugins = await ask("GET", "/v1/plugins"), about = plugins.plugins.find((f) => f.name === p.plugin && !f.refused);
  if (current !== here) return;
  show(below, el("section", { class: "card" }, el("h2", null, "Options"), about?.summary ? el("p", { class: "quiet" }, about.summary) : null, optionRows(p, plugins)));
  often(3000, async () => { if (!top.contains(document.activeElement) && !document.querySelector("dialog[open]")) await head(); });
}

async function allPlugins(main) {
  const here = current;
  const [all, plugins] = await Promise.all([ask("GET", "/v1/pushers"), ask("GET", "/v1/plugins")]);
  if (current !== here) return;
  const running = [...all.pushers, ...all.pullers].filter((p) => p.state !== "refused"), refused = plugins.plugins.filter((f) => f.refused);
  show(main, el("h1", null, "Plugins"),
    el("section", { class: "card" }, el("h2", null, "Pushers and pullers"), table("Pushers and pullers", ["Name", "Plugin", "State", ["Process", "number"], ["Memory", "number"], ["Restarts", "number"]],
      running.map((p) => [el("a", { href: `#/plugins/${encodeURIComponent(p.name)}` }, p.name), `${p.plugin} ${p.version}`, badge(p.state, stateOf(p)[0]), p.pid || "–", p.memory ? bytes(p.memory) : "–", number(p.restarts)]))),
    plugins.processors.length ? el("section", { class: "card" }, el("h2", null, "Processors"), table("Processors", ["Name", "Plugin", "Options set"],
      plugins.processors.map((p) => [p.name, p.plugin, p.options.length ? p.options.map((o) => el("div", null, el("code", null, o.name), ` ${o.value} `, el("span", { class: "quiet" }, o.origin))) : "none"]))) : null,
    el("section", { class: "card" }, el("h2", null, "Refused files"), refused.length
      ? table("Refused files", ["File", "Why"], refused.map((f) => [el("code", null, f.file), el("span", { class: "error" }, f.refused)]))
      : el("p", { class: "quiet" }, "None. Every file in the plugin folders can be used.")),
    el("section", { class: "card" }, el("h2", null, "Files"), table("Plugin files", ["Name", "Version", "What it is", "File"],
      plugins.plugins.filter((f) => !f.refused).map((f) => [f.name, f.version, f.summary || "", el("code", null, f.file)]))));
}

function plugins(main, parameters, name) {
  (name ? onePlugin(main, name) : allPlugins(main)).catch(lost);
}
