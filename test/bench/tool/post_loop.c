/* What a pusher to a web address could do at best: libcurl posts the same batch again and again on one connection.
 *
 *   post_loop BATCH URL TIMES
 *
 * BATCH holds 1000 rows. Prints rows a second, and rows a second of CPU time. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH_MAX = 16 << 20, ROWS = 1000 };

static double now(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    static char batch[BATCH_MAX];
    FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: post_loop BATCH URL TIMES\n");
        return 64;
    }
    size_t len = fread(batch, 1, sizeof batch, file);
    fclose(file);
    CURL *curl = curl_easy_init();
    struct curl_slist *fields = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    fields = curl_slist_append(fields, "Expect:");
    if (curl == NULL || fields == NULL)
        return 1;
    curl_easy_setopt(curl, CURLOPT_URL, argv[2]);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, batch);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    double began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    long times = strtol(argv[3], NULL, 10);
    for (long n = 0; n < times; n++)
        if (curl_easy_perform(curl) != CURLE_OK)
            return 1;
    printf("%.1f %.1f\n", (double)(times * ROWS) / (now(CLOCK_MONOTONIC) - began),
           (double)(times * ROWS) / (now(CLOCK_PROCESS_CPUTIME_ID) - cpu));
    curl_slist_free_all(fields);
    curl_easy_cleanup(curl);
    return 0;
}
