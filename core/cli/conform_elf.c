/* The dynamic symbols of a shared object, read from the file: nothing of it is loaded. Only ELF of this machine's word
 * size; every offset is checked against the file's size, because the file is a stranger's. Weak and unique symbols are
 * what C++ libraries leave behind and do no harm. */
#include "cli/conform.h"

#include "base/sys.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct elf {
    const char *bytes;
    size_t size;
};

/* `count` things of `each` bytes at `offset`, or NULL. */
static const void *elf_at(const struct elf *f, uint64_t offset, uint64_t count, size_t each)
{
    if (count > f->size / each || offset > f->size - count * each || offset % 8 != 0)
        return NULL;
    return f->bytes + offset;
}

static bool is_own(const char *name)
{
    static const char *const known[] = {"hg_plugin", "_init", "_fini", "__bss_start", "_edata", "_end"};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return false;
}

static int exports_of(const struct elf *f, const ElfW(Shdr) * symbols, const ElfW(Shdr) * names, char *out, size_t size)
{
    size_t total = symbols->sh_size / sizeof(ElfW(Sym)), used = 0;
    const ElfW(Sym) *all = elf_at(f, symbols->sh_offset, total, sizeof *all);
    if (all == NULL || names->sh_offset > f->size || names->sh_size > f->size - names->sh_offset)
        return -1;
    const char *text = f->bytes + names->sh_offset;
    int count = 0;
    for (size_t i = 0; i < total; i++) {
        if (ELF64_ST_BIND(all[i].st_info) != STB_GLOBAL || all[i].st_shndx == SHN_UNDEF ||
            all[i].st_name >= names->sh_size)
            continue;
        size_t most = names->sh_size - all[i].st_name;
        const char *name = text + all[i].st_name;
        if (strnlen(name, most) == most || is_own(name))
            continue;
        count++;
        if (used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%.80s", used == 0 ? "" : ", ", name);
    }
    return count;
}

static int elf_exports(const struct elf *f, char *out, size_t size)
{
    const ElfW(Ehdr) *head = elf_at(f, 0, 1, sizeof *head);
    if (head == NULL || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_shentsize != sizeof(ElfW(Shdr)))
        return -1;
    const ElfW(Shdr) *sections = elf_at(f, head->e_shoff, head->e_shnum, sizeof *sections);
    for (unsigned i = 0; sections != NULL && i < head->e_shnum; i++)
        if (sections[i].sh_type == SHT_DYNSYM && sections[i].sh_link < head->e_shnum)
            return exports_of(f, &sections[i], &sections[sections[i].sh_link], out, size);
    return -1;
}

int conform_exports(const char *path, char *out, size_t size)
{
    struct stat st;
    int count = -1;
    out[0] = '\0';
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (sys->fstat(fd, &st) == 0 && st.st_size > 0) {
        struct elf f = {.size = (size_t)st.st_size};
        void *map = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED) {
            f.bytes = map;
            count = elf_exports(&f, out, size);
            (void)munmap(map, f.size);
        }
    }
    sys->close(fd);
    return count;
}
