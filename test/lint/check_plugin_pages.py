#!/usr/bin/env python3
"""docs/plugins/NAME.md of every bundled plugin is what its own table says: asked of the built plugin and compared.
`make reference` (this with --write) writes the pages."""
import json
import os
import subprocess
import sys

from source import ROOT, report

BUILD = ROOT / os.environ.get("BUILD", "build")
PAGES = ROOT / "docs/plugins"
TYPES = {"duration": "duration (`200ms`, `10s`, `5m`)", "size": "size (`64KiB`, `16MiB`)", "list": "list (`a, b`)",
         "map": "map (`a=1, b=2`)", "boolean": "`yes` or `no`", "url": "address (`http://`, `https://`)", "string": "text",
         "choice": "one of"}


def ask(*words):
    command = [BUILD / "headgate", "plugin", *words, "--config", "/dev/null", "--plugins", BUILD / "plugins", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    return json.loads(done.stdout)


def form(option):
    kind = TYPES.get(option["type"], option["type"])
    limits = option["limits"]
    if option["type"] == "choice":
        return kind + " " + ", ".join(f"`{word}`" for word in limits.split("|"))
    return kind + (f", {limits}" if limits else "")


def default(option):
    if option["required"]:
        return "required"
    return "none" if option["default"] in (None, "") else f"`{option['default']}`"


def page(plugin):
    name = plugin["name"]
    prefix = f"PLUGIN_{name.upper().replace('-', '_')}_"
    lines = [f"# {name} {plugin['version']}", "", plugin["summary"], "",
             f"What it does with rows, and which answers mean what: [README](../../plugins/{name}/README.md).", ""]
    processor = plugin["kind"] == "processor"
    most = plugin["max_parallel"]
    lines.append("- a processor: pushers name its instances in `PROCESS`" if processor else
                 f"- workers (`PARALLEL`): {'any number' if most == 0 else f'at most {most}'}")
    if plugin["stable_batches"]:
        lines.append("- after a crash the same rows come again as the same batch")
    if plugin["whole_sets"]:
        lines.append("- a row set is never split")
    if plugin["manual_start"]:
        lines.append("- starts only with `ENABLED=yes`")
    lines += ["", "The options that every pusher has are in [settings.md](../settings.md).", ""] if not processor else [""]
    options = plugin.get("options", [])
    if not options:
        return "\n".join(lines + ["It has no options of its own.", ""])
    lines += [f"| `{prefix}…` | default | form | |", "| --- | --- | --- | --- |"]
    for o in options:
        more = " Secret: may be given as a file, `_FILE`." if o["secret"] else ""
        more += f" Exactly one of the group `{o['group']}` is set." if o["group"] else ""
        text = o["text"].replace("|", "\\|") + more
        lines.append(f"| `{o['name']}` | {default(o)} | {form(o)} | {text} |")
    return "\n".join(lines + [""])


def main():
    names = [p["name"] for p in ask("list")["plugins"] if p["refused"] is None]
    wanted = {PAGES / f"{name}.md": page(ask("describe", name)) for name in names}
    faults = []
    if "--write" in sys.argv:
        PAGES.mkdir(exist_ok=True)
    for path, text in wanted.items():
        if "--write" in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            faults.append(f"docs/plugins/{path.name} is not fresh: make reference")
    faults += [f"docs/plugins/{p.name} is about no plugin" for p in sorted(PAGES.glob("*.md")) if p not in wanted]
    return report(faults)


if __name__ == "__main__":
    sys.exit(main())
