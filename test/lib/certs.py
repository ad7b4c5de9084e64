"""An authority and certificates signed by it, by the openssl command."""
import ssl
import subprocess


class Authority:
    """Files in a folder: ca.pem, and NAME.pem and NAME.key for each that is made."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.openssl("req", "-x509", *self.fresh(name), "-out", f"{name}.pem", "-subj", f"/CN=test {name}", "-days", "9")

    @property
    def pem(self):
        return self.folder / f"{self.name}.pem"

    @staticmethod
    def fresh(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def make(self, name, cn=None, names="DNS:localhost,IP:127.0.0.1", days=9):
        """Renewed when it is there: first the key, then the certificate."""
        self.openssl("req", *self.fresh(name), "-out", f"{name}.csr", "-subj", f"/CN={cn or name}")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n" if names else "")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key",
                     "-CAcreateserial", "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def revoke(self, *names, file="crl.pem", until=None):
        """A list of all that were revoked so far, these too: good for 9 days, or `until` (YYYYMMDDHHMMSSZ)."""
        config = self.folder / f"{self.name}.cnf"
        if not config.exists():
            config.write_text(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {self.name}.index\ncrlnumber = {self.name}.number\n"
                              f"certificate = {self.name}.pem\nprivate_key = {self.name}.key\ndefault_md = sha256\n")
            (self.folder / f"{self.name}.index").touch()
            (self.folder / f"{self.name}.number").write_text("01\n")
        for name in names:
            self.openssl("ca", "-config", config.name, "-revoke", f"{name}.pem")
        dates = ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", until] if until else ["-crldays", "9"]
        self.openssl("ca", "-config", config.name, "-gencrl", *dates, "-out", f"{file}.new")
        (self.folder / f"{file}.new").rename(self.folder / file)  # as a whole: it may be read at any moment
        return self.folder / file

    def context(self, client=None):
        """For a client that trusts this authority, with a certificate of its own or without."""
        context = ssl.create_default_context(cafile=self.pem)
        if client:
            context.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}.key")
        return context
