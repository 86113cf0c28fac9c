/* uv_fetch.c - rows of keys, fetched by a program that runs libuv's loop and no thread.
 *
 *     cc uv_fetch.c $(pkg-config --cflags --libs librepstore libuv) -o uv_fetch
 *     ./uv_fetch /run/repstore/repstore.sock ur 7 8 9
 *
 * All fetches are under way at once. As each ends its key is printed, and whether it was found. */
#include <err.h>
#include <inttypes.h>
#include <repstore.h>
#include <repstore_async.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* A fetch that is under way. */
struct asked {
	uint64_t ticket;
	uint64_t key;
};

struct program {
	rep_async *async;
	struct asked *asked; /* [count] */
	size_t count;
	size_t ended;
	int failed;
};

static const char *table;

static struct rep_part part_of(const uint64_t *key, uint8_t *found)
{
	struct rep_part part = {.table = table, .keys = rep_keys_u64(key, 1), .found = found};
	return part; /* without room for rows only their shape is filled */
}

static void take(struct program *program, const struct asked *asked)
{
	uint8_t found = 0;
	struct rep_error error;
	struct rep_part part = part_of(&asked->key, &found);
	if (rep_async_fetched(program->async, asked->ticket, &part, 1, NULL, &error) != REP_OK) {
		fprintf(stderr, "%" PRIu64 ": %s\n", asked->key, error.text);
		program->failed = 1;
	} else {
		printf("%" PRIu64 "\t%s\tdim %u\n", asked->key, found ? "found" : "absent",
			part.dim);
	}
}

/* The client's descriptor is readable. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct program *program = poll->data;
	uint64_t ticket;
	(void)events;
	if (status < 0) {
		errx(1, "poll: %s", uv_strerror(status));
	}
	rep_async_step(program->async);
	while (rep_async_next(program->async, &ticket)) {
		for (size_t i = 0; i < program->count; i++) {
			if (program->asked[i].ticket == ticket) {
				take(program, &program->asked[i]);
			}
		}
		program->ended++;
	}
	if (program->ended == program->count) {
		uv_close((uv_handle_t *)poll, NULL); /* nothing is left for the loop to do */
	}
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		errx(2, "usage: uv_fetch ADDRESS TABLE KEY...");
	}
	struct program program = {.count = (size_t)argc - 3};
	struct rep_options options = {.address = argv[1]};
	struct rep_error error;
	uv_poll_t poll;
	table = argv[2];
	program.asked = calloc(program.count, sizeof *program.asked);
	if (program.asked == NULL) {
		err(1, "calloc");
	}
	if (rep_async_open(&options, NULL, &program.async, &error) != REP_OK) {
		errx(1, "%s", error.text);
	}
	for (size_t i = 0; i < program.count; i++) {
		struct asked *asked = &program.asked[i];
		uint8_t found;
		asked->key = strtoull(argv[3 + i], NULL, 0);
		const struct rep_part part = part_of(&asked->key, &found);
		if (rep_async_fetch(program.async, NULL, &part, 1, &asked->ticket, &error) !=
			REP_OK) {
			errx(1, "%s", error.text);
		}
	}
	poll.data = &program;
	if (uv_poll_init(uv_default_loop(), &poll, rep_async_fd(program.async)) != 0 ||
		uv_poll_start(&poll, UV_READABLE, on_readable) != 0) {
		errx(1, "the descriptor cannot be polled");
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	rep_async_close(program.async);
	free(program.asked);
	return program.failed;
}
