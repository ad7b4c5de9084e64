// objects: each push becomes a file of its own in a folder, named after the first and the last row in it. It asks for
// repeatable batches (HG_STABLE_BATCH): after a crash the same rows come as the same push, so the file is written over
// and never doubled. In C++17: a worker is an object, and no exception leaves a callback.
#include <headgate.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace fs = std::filesystem;

namespace {

struct config {
    const char *folder;
};

class worker {
  public:
    worker(hg_host *host, const hg_api *api, const config *config) : host_(host), api_(api), folder_(config->folder)
    {
    }

    int push(hg_rows *rows)
    {
        std::string text;
        std::string first, last;
        for (std::size_t n = 0; n < api_->row_count(rows); n++) {
            const hg_row *row = api_->row(rows, n);
            hg_value name;
            if (api_->field(row, "name", &name) != 0 && name.type != HG_STR) {
                api_->judge(rows, n, HG_REJECT, 0, "its name is no text");
                continue;
            }
            char id[HG_ROW_ID_SIZE];
            api_->row_id(row, id);
            first = first.empty() ? id : first;
            last = id;
            const hg_text data = api_->data(row);
            text.append(id).append(" ").append(data.ptr, data.len).append("\n");
        }
        if (!text.empty())
            write(first + "_" + last, text);
        return HG_ALL_OK;
    }

    int probe()
    {
        if (fs::is_directory(folder_))
            return HG_OPEN_OK;
        fail((folder_.string() + " is no folder").c_str());
        return HG_OPEN_NOT_NOW;
    }

    void fail(const char *why)
    {
        api_->fail(host_, why);
    }

    int not_now(hg_rows *rows, const char *why)
    {
        return api_->not_now(rows, 0, why);
    }

  private:
    // Under another name first, so that nobody sees half of it.
    void write(const std::string &name, const std::string &text)
    {
        const fs::path part = folder_ / (name + ".part");
        std::ofstream out(part, std::ios::binary | std::ios::trunc);
        out.exceptions(std::ios::badbit | std::ios::failbit);
        out << text << std::flush;
        out.close();
        fs::rename(part, folder_ / (name + ".rows"));
    }

    hg_host *host_;
    const hg_api *api_;
    fs::path folder_;
};

int objects_open(hg_host *host, const hg_api *api, const void *settings, void **state)
{
    try {
        *state = std::make_unique<worker>(host, api, static_cast<const config *>(settings)).release();
        return HG_OPEN_OK;
    } catch (const std::exception &e) {
        api->fail(host, e.what());
        return HG_OPEN_NOT_NOW;
    }
}

void objects_close(void *state)
{
    delete static_cast<worker *>(state);
}

int objects_push(void *state, hg_rows *rows)
{
    auto *w = static_cast<worker *>(state);
    try {
        return w->push(rows);
    } catch (const std::exception &e) {
        return w->not_now(rows, e.what());
    }
}

int objects_probe(void *state)
{
    auto *w = static_cast<worker *>(state);
    try {
        return w->probe();
    } catch (const std::exception &e) {
        w->fail(e.what());
        return HG_OPEN_NOT_NOW;
    }
}

// C++17 has no designated initializers: functions fill the tables, once.
hg_option make_option()
{
    hg_option o{};
    o.name = "FOLDER";
    o.type = HG_PATH;
    o.flags = HG_REQUIRED | HG_WRITE;
    o.text = "The folder that files are written to.";
    o.offset = offsetof(config, folder);
    return o;
}

hg_pusher make_pusher()
{
    hg_pusher p{};
    p.size = sizeof p;
    p.flags = HG_STABLE_BATCH;
    p.open = objects_open;
    p.close = objects_close;
    p.push = objects_push;
    p.probe = objects_probe;
    return p;
}

struct hg_plugin make_plugin(const hg_option *options, const hg_pusher *pusher)
{
    struct hg_plugin p{};
    p.abi_major = HG_ABI_MAJOR;
    p.size = sizeof p;
    p.kind = HG_PUSHER;
    p.name = "objects";
    p.version = "1.0";
    p.summary = "Writes each push into a file of its own.";
    p.options = options;
    p.option_count = 1;
    p.option_size = sizeof *options;
    p.config_size = sizeof(config);
    p.pusher = pusher;
    return p;
}

} // namespace

const struct hg_plugin *hg_plugin()
{
    static const hg_option options[] = {make_option()};
    static const hg_pusher pusher = make_pusher();
    static const struct hg_plugin plugin = make_plugin(options, &pusher);
    return &plugin;
}
