/* Over to the main loop and back. One piece of memory travels both ways, so that an answer can always be sent home;
 * only the copy of its texts can fail, and then a bare 503 is sent instead. Nothing here waits for another thread.
 *
 * A crash loses nothing: neither a question nor a wait changes anything. */
#include "api/bounce.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { BOUNCE_MAGIC = 0x626F756E };

struct bounce {
    uint32_t magic;
    struct mail mail;
    struct bounce_way *way;
    struct http_request *request;
    bool is_problem;
    struct http_answer answer;
    struct http_problem problem;
    char *texts; /* what the answer points at */
};

static const struct http_problem out_of_memory = {
    .status = 503, .word = "memory", .detail = "out of memory; ask again", .retry_after = 1};

/* --- a request --- */

static void come_home(struct mail *mail)
{
    struct bounce *b = container_of(mail, struct bounce, mail);
    b->request->route = NULL;
    if (b->is_problem)
        http_problem(b->request, &b->problem);
    else
        http_respond(b->request, &b->answer);
    free(b->texts);
    b->magic = 0;
    free(b);
}

static void ask_main(struct mail *mail)
{
    struct bounce *b = container_of(mail, struct bounce, mail);
    api_dispatch(b->way->api, b->request);
}

int bounce_head(void *arg, struct http_request *r)
{
    const struct bounce_way *way = arg;
    return api_admit(way->api, r);
}

void bounce_request(void *way, struct http_request *r)
{
    struct bounce *b = calloc(1, sizeof *b);
    if (b == NULL) {
        http_problem(r, &out_of_memory);
        return;
    }
    *b = (struct bounce){.magic = BOUNCE_MAGIC, .mail.run = ask_main, .way = way, .request = r};
    r->route = b;
    mailbox_send(b->way->main, &b->mail);
}

/* --- its answer --- */

static size_t size_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

/* Put a text at `*at` and point to it there. */
static void keep(char **at, const char **text)
{
    size_t size = size_of(*text);
    if (size == 0)
        return;
    *text = memcpy(*at, *text, size);
    *at += size;
}

static void keep_slice(char **at, struct slice *s)
{
    if (s->len == 0)
        return;
    *s = slice_make(memcpy(*at, s->ptr, s->len), s->len);
    *at += s->len;
}

static struct bounce *bounce_of(void *bounce)
{
    struct bounce *b = bounce;
    CHECK_MAGIC(b, BOUNCE_MAGIC);
    CHECK(b->mail.run == ask_main); /* not answered yet */
    return b;
}

static void send_home(struct bounce *b)
{
    b->mail.run = come_home;
    mailbox_send(b->way->home, &b->mail);
}

static void send_without(struct bounce *b)
{
    b->is_problem = true;
    b->problem = out_of_memory;
    send_home(b);
}

void bounce_answer(void *bounce, const struct http_answer *answer)
{
    struct bounce *b = bounce_of(bounce);
    b->texts = malloc(1 + answer->body.len + size_of(answer->content_type) + size_of(answer->fields));
    if (b->texts == NULL) {
        send_without(b);
        return;
    }
    char *at = b->texts;
    b->answer = *answer;
    keep_slice(&at, &b->answer.body);
    keep(&at, &b->answer.content_type);
    keep(&at, &b->answer.fields);
    send_home(b);
}

void bounce_problem(void *bounce, const struct http_problem *problem)
{
    struct bounce *b = bounce_of(bounce);
    b->texts = malloc(1 + problem->errors.len + size_of(problem->word) + size_of(problem->detail) +
                      size_of(problem->allow) + size_of(problem->challenge));
    if (b->texts == NULL) {
        send_without(b);
        return;
    }
    char *at = b->texts;
    b->is_problem = true;
    b->problem = *problem;
    keep_slice(&at, &b->problem.errors);
    keep(&at, &b->problem.word);
    keep(&at, &b->problem.detail);
    keep(&at, &b->problem.allow);
    keep(&at, &b->problem.challenge);
    send_home(b);
}

/* --- a wait --- */

struct patience {
    struct mail mail;
    struct bounce_way *way;
    struct intake_wait *wish;
    struct receipt_waiter waiter;
    int code;
    char *json;
    size_t json_len;
};

static void over(struct mail *mail)
{
    struct patience *p = container_of(mail, struct patience, mail);
    p->wish->done(p->wish->arg, p->code, slice_make(p->json, p->json_len));
    free(p->json);
    free(p);
}

static void waited(void *arg, int code, struct slice json)
{
    struct patience *p = arg;
    p->code = code;
    if (code == ERR_OK) {
        p->json = malloc(json.len + 1);
        p->code = p->json == NULL ? ERR_NOMEM : ERR_OK;
    }
    if (p->json != NULL) {
        memcpy(p->json, json.ptr, json.len);
        p->json_len = json.len;
    }
    p->mail.run = over;
    mailbox_send(p->way->home, &p->mail);
}

static void wait_on_main(struct mail *mail)
{
    struct patience *p = container_of(mail, struct patience, mail);
    receipts_wait(p->way->api, &p->waiter);
}

void bounce_wait(void *way, struct intake_wait *wish)
{
    struct patience *p = calloc(1, sizeof *p);
    if (p == NULL) {
        wish->done(wish->arg, ERR_NOMEM, slice_make(NULL, 0));
        return;
    }
    p->mail.run = wait_on_main;
    p->way = way;
    p->wish = wish;
    p->waiter = (struct receipt_waiter){
        .position = wish->position,
        .rows = wish->rows,
        .uuid_hash = wish->uuid_hash,
        .until_ms = wish->until_ms,
        .done = waited,
        .arg = p,
    };
    mailbox_send(p->way->main, &p->mail);
}
