/* Judged answers: a 2xx whose body says what became of single rows.
 *
 *     {"rows":[{"n":0,"verdict":"ok|duplicate|retry|reject","reason":"…","after":ms}]}
 *
 * `n` counts the rows of the request from 0. Rows that are not named are delivered. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include "common/http_client.h"
#include "headgate.h"

enum answer_kind {
    ANSWER_PLAIN,     /* says nothing about single rows */
    ANSWER_JUDGED,    /* the rows it names were judged */
    ANSWER_UNREADABLE /* speaks of verdicts but cannot be understood; nothing was judged */
};

/* The request carried `count` rows from row `from` of the push on. */
enum answer_kind answer_judge(const struct http_answer *answer, const struct hg_api *api, struct hg_rows *rows,
                              size_t from, size_t count);

#endif
