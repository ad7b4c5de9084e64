// Which view is shown, signing in and out, and the start.

const VIEWS = [["", "Overview", overview], ["sets", "Row sets", sets], ["dead", "Dead letters", dead], ["live", "Live", live], ["plugins", "Plugins", plugins],
  ["settings", "Settings", settings], ["log", "Log", log], ["audit", "Audit", audit], ["refusals", "Refusals", refusals], ["keys", "Keys", keys]];
// Who is bound to a client sees what is that client's, and nothing of the gateway.
const OWN_VIEWS = ["sets", "dead", "live"];
const views = () => (me.client ? VIEWS.filter(([word]) => OWN_VIEWS.includes(word)) : VIEWS);
const IDLE_MS = 30 * 60 * 1000;

let current = null, leave = null, touched = Date.now();

function go(view, parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value);
  const hash = `#/${view}${pairs.length ? `?${new URLSearchParams(pairs)}` : ""}`;
  if (location.hash === hash) route();
  else location.hash = hash;
}

function route() {
  if (location.hash === "#main") { document.getElementById("main").focus(); return; }
  const [path, words] = location.hash.replace(/^#\/?/, "").split("?"), [name, part] = path.split("/");
  const view = views().find(([word]) => word === name) || views()[0], main = document.getElementById("main"), first = current === null;
  if (leave) leave();
  leave = null;
  current = {};
  document.title = `${view[1]} · headgate`;
  for (const link of document.querySelectorAll("nav a"))
    if (link.getAttribute("href") === `#/${view[0]}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  document.querySelectorAll("dialog").forEach((box) => box.close(""));
  view[2](main, new URLSearchParams(words || ""), part && decodeURIComponent(part));
  if (!first && !main.contains(document.activeElement)) main.focus();
  window.scrollTo(0, 0);
}

// The gateway did not answer as it should.
function lost(fault) {
  if (fault.status === 401) { start(); return; }
  const text = fault.status ? fault.message : "The gateway does not answer. It is asked again until it does.";
  const there = document.getElementById("lost");
  if (there) { show(there, text); return; }
  const box = el("p", { id: "lost", class: "error", role: "alert" }, text);
  document.getElementById("main").prepend(box);
  setTimeout(() => box.remove(), 4000);
}

function signIn(found) {
  const main = document.getElementById("main"), fault = el("p", { class: "error", role: "alert" });
  const input = el("input", { type: "password", name: "key", autocomplete: "current-password", required: true, spellcheck: "false" });
  if (leave) leave();
  leave = null;
  current = null;
  document.title = "Sign in · headgate";
  show(document.getElementById("views"));
  show(document.getElementById("who"));
  if (!found.keys) {
    show(main, el("section", { class: "card sign" }, el("h1", null, "This gateway does not know you"), el("p", null, "Its admin listener takes certificates or tokens only (admin.auth), and none came with this page.")));
    return;
  }
  show(main, el("section", { class: "card sign" }, el("h1", null, "Sign in"), el("p", { class: "quiet" }, "With a key of this gateway: the text that begins with hg_ and was shown once by headgate key add."),
    el("form", { onsubmit: async (e) => {
      e.preventDefault();
      try { begin(await ask("POST", "/v1/session", JSON.stringify({ key: input.value }))); }
      catch (wrong) { show(fault, wrong.message); input.select(); }
    } }, field("Key", input), el("p"), fault, el("button", { class: "main" }, "Sign in"))));
  input.focus();
}

async function signOut() {
  await ask("DELETE", "/v1/session").catch(() => {});
  await start();
}

function begin(found) {
  me.roles = found.roles;
  me.client = found.client;
  me.csrf = found.csrf || null;
  touched = Date.now();
  show(document.getElementById("views"), views().map(([word, text]) => el("li", null, el("a", { href: `#/${word}` }, text))));
  show(document.getElementById("who"), found.csrf ? [el("span", null, found.name || found.key, found.client ? ` · ${found.client}` : ""), button("Sign out", signOut)] : null);
  current = null;
  route();
}

async function start() {
  me.csrf = null;
  try {
    const found = await ask("GET", "/v1/session");
    if (found.in) begin(found);
    else signIn(found);
  } catch (fault) {
    lost(fault);
    setTimeout(start, 3000);
  }
}

// Looking now and then must not keep a session alive that nobody sits at.
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { touched = Date.now(); });
setInterval(() => { if (me.csrf && Date.now() - touched > IDLE_MS) signOut(); }, 10000);
addEventListener("hashchange", () => { if (current !== null || me.roles.length) route(); });
start();
