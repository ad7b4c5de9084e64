"""What the servers that take files have in common for the tests: a folder, and a look into it."""
import shutil

import kit


class FilesLike(kit.Server):
    """`files`: the folder that the user logs in to."""

    packages, scheme, secret = True, None, "hgtest-secret"

    @property
    def files(self):
        return self.dir / "files"

    def prepare(self):
        self.files.mkdir()
        self.give(self.files)

    def names(self):
        """Of whole files."""
        return sorted(str(p.relative_to(self.files)) for p in self.files.rglob("*") if p.is_file() and p.suffix != ".part")

    def empty(self):
        for path in self.files.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
