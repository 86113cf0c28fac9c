/* local_fetch.c - rows of keys, read in this process by as many threads as there are keys; no daemon need run.
 *
 *     cc local_fetch.c $(pkg-config --cflags --libs librepstore-local) -o local_fetch
 *     ./local_fetch /var/lib/repstore ur 7 8 9
 *
 * A reader is shared; each thread makes a client of its own, once, and keeps it. */
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <repstore_local.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
	pthread_t thread;
	rep_local *local;
	const char *table;
	uint64_t key;
	struct rep_part part;
	uint8_t found;
	struct rep_fetched fetched;
	enum rep_status status;
	struct rep_error error;
};

static void *fetch(void *context)
{
	struct job *job = context;
	rep_client *client = NULL;
	job->status = rep_local_client(job->local, &client, &job->error);
	if (job->status == REP_OK) {
		job->part = (struct rep_part){.table = job->table,
			.keys = rep_keys_u64(&job->key, 1),
			.found = &job->found};
		job->status = rep_fetch(client, NULL, &job->part, 1, &job->fetched, &job->error);
	}
	rep_close(client);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		errx(2, "usage: local_fetch FOLDER TABLE KEY...");
	}
	struct rep_error error;
	rep_local *local = NULL;
	const struct rep_local_options options = {.folder = argv[1]};
	if (rep_open_local(&options, &local, &error) != REP_OK) {
		errx(1, "%s", error.text);
	}
	const int count = argc - 3;
	struct job *jobs = calloc((size_t)count, sizeof *jobs);
	int failed = 0;
	if (jobs == NULL) {
		errx(1, "no memory");
	}
	for (int i = 0; i < count; i++) {
		jobs[i].local = local;
		jobs[i].table = argv[2];
		jobs[i].key = strtoull(argv[3 + i], NULL, 10);
		if (pthread_create(&jobs[i].thread, NULL, fetch, &jobs[i]) != 0) {
			errx(1, "no thread");
		}
	}
	for (int i = 0; i < count; i++) {
		pthread_join(jobs[i].thread, NULL);
		if (jobs[i].status != REP_OK) {
			warnx("%s", jobs[i].error.text);
			failed = 1;
			continue;
		}
		printf("%" PRIu64 "\t%s\tdim %" PRIu32 "\n", jobs[i].key,
			(jobs[i].found & 1) != 0 ? "found" : "absent", jobs[i].part.dim);
	}
	free(jobs);
	rep_close_local(local);
	return failed;
}
