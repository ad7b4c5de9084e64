"""OpenSSH's server, from the distribution: SFTP alone, with a key. It runs as the user that logs in. (With PAM, for
without it a user who has no password is locked out.)"""
import getpass
import os

import kit
from files_like import FilesLike

SETTINGS = """Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host_key
PidFile none
AuthorizedKeysFile {dir}/authorized
StrictModes no
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d {dir}/files
"""


class SSHd(FilesLike):
    name, version = "sshd", "9.2"

    @property
    def user_name(self):
        return self.user if os.geteuid() == 0 else getpass.getuser()

    def url(self, port=None):
        return f"sftp://127.0.0.1:{port or self.port}"

    def options(self):
        return {"USER": self.user_name, "KEY": self.dir / "user_key", "KNOWN_HOSTS": self.dir / "known"}

    def wrong(self):
        return {"KEY": self.dir / "other_key"}, "Authentication failure"

    def prepare(self):
        super().prepare()
        for name in ("host_key", "user_key", "other_key"):
            kit.run(["ssh-keygen", "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", self.dir / name])
        self.give(self.dir / "host_key")
        os.chmod(self.dir / "host_key", 0o600)
        (self.dir / "authorized").write_text((self.dir / "user_key.pub").read_text())
        host = " ".join((self.dir / "host_key.pub").read_text().split()[:2])
        # A connection through a proxy has a port of its own, which belongs to the name of a host here.
        (self.dir / "known").write_text(f"127.0.0.1 {host}\n")

    def command(self):
        settings = self.dir / "sshd_config"
        settings.write_text(SETTINGS.format(port=self.port, dir=self.dir))
        self.give(settings)
        return ["/usr/sbin/sshd", "-D", "-e", "-f", settings]
