"""`make install`, and a plugin built against what it installed."""
import subprocess

from gateway import BUILD, ROOT, Gateway, row, wait_until

PLUGIN = r"""
#include <headgate.h>

static int open_it(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    (void)host;
    (void)config;
    *state = (void *)api;
    return HG_OPEN_OK;
}

static void close_it(void *state)
{
    (void)state;
}

static int push(void *state, struct hg_rows *rows)
{
    (void)state;
    (void)rows;
    return HG_ALL_OK;
}

static const struct hg_pusher pusher = {.size = sizeof pusher, .open = open_it, .close = close_it, .push = push};
static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR, .abi_minor = HG_ABI_MINOR, .size = sizeof plugin, .kind = HG_PUSHER, .name = "hello",
    .version = "1", .summary = "Says yes.", .option_size = sizeof(struct hg_option), .pusher = &pusher,
};

const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}
"""


def make(*arguments):
    done = subprocess.run(["make", "-s", "--no-print-directory", f"BUILD={BUILD}", *arguments], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# contract: make.install
def test_install_and_uninstall(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    prefix = tmp_path / "usr/local"
    for name in ("bin/headgate", "libexec/headgate-host", "lib/headgate/plugins/file.so", "lib/headgate/plugins/http.so",
                 "lib/headgate/plugins/stdout.so", "lib/headgate/plugins/null.so", "lib/headgate/plugins/postgres.so",
                 "lib/headgate/plugins/mysql.so", "lib/headgate/plugins/sqlite.so", "include/headgate.h",
                 "lib/pkgconfig/headgate.pc", "etc/headgate/headgate.ini", "share/man/man1/headgate.1",
                 "share/bash-completion/completions/headgate", "lib/systemd/system/headgate.service",
                 "share/headgate/sdk/common", "share/headgate/sdk/docs/plugins.md", "share/headgate/sdk/docs/abi.md"):
        assert (prefix / name).exists(), name
    assert "ExecStart=/usr/local/bin/headgate" in (prefix / "lib/systemd/system/headgate.service").read_text()
    (tmp_path / "usr/local/etc/headgate/headgate.ini").write_text("# mine\n")
    make("install", f"DESTDIR={tmp_path}")
    assert (prefix / "etc/headgate/headgate.ini").read_text() == "# mine\n"
    make("uninstall", f"DESTDIR={tmp_path}")
    left = [str(p.relative_to(prefix)) for p in prefix.rglob("*") if p.is_file()]
    assert left == ["etc/headgate/headgate.ini"]


def test_a_plugin_built_against_it(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    flags = subprocess.run(["pkg-config", "--cflags", "headgate"], capture_output=True, text=True, check=True,
                           env={"PKG_CONFIG_PATH": str(tmp_path / "usr/local/lib/pkgconfig"), "PATH": "/usr/bin:/bin",
                                "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}).stdout.split()
    (tmp_path / "hello.c").write_text(PLUGIN)
    subprocess.run(["cc", "-shared", "-fPIC", "-fvisibility=hidden", *flags, tmp_path / "hello.c", "-o",
                    tmp_path / "hello.so"], check=True)
    with Gateway(plugins=[tmp_path / "hello.so"]) as g:
        g.take(row("u"))
        g.wait_rows(1)
        assert wait_until(lambda: g.pusher("hello").get("state") == "running", what=lambda: str(g.pushers()))
