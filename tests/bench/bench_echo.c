/* bench_echo.c - what the machine allows: a bare round trip, a bare fetch, copying, the disk.
 *
 *   bench_echo [ROWS [KEYS [SECONDS]]]     default 1000000 500 1, each
 *   bench_echo disk FOLDER BYTES           BYTES written to a new file there and synced
 *
 * echo: one process asks another over a Unix socket, by blocking calls; messages of about the
 * size of repstored's for one key. limit: a request of KEYS keys is answered by copying random
 * rows of 256 bytes out of ROWS, at known offsets, into one write. memcpy: those copies alone.
 * Both prefetch rows ahead, and once more plainly: without.
 * disk: `disk_at_end` syncs once, `disk_each_8mib` after each 8 MiB.
 */
#include "tests/bench/driver/measure.h"
#include "tests/bench/peer/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUESTS = 4096, WRITE_BYTES = 4 << 20, SYNC_BYTES = 8 << 20 };

static void measure(const struct peer_kind *kind, const struct questions *questions,
	const uint8_t *rows, uint64_t for_ns)
{
	struct peer *peer = kind->open(NULL, questions, rows);
	uint8_t *out = allocate((size_t)questions->keys_each * MEASURE_ROW_BYTES);
	struct samples samples = {0};
	const uint64_t end = now_ns() + for_ns;
	uint64_t before = now_ns();
	for (size_t request = 0; before < end; request++) {
		kind->fetch(peer, request, out);
		const uint64_t after = now_ns();
		samples_add(&samples, after - before);
		before = after;
	}
	samples_print(&samples, kind->name);
	samples_fini(&samples);
	free(out);
	kind->close(peer);
}

/* Seconds to write `bytes` and have them on the disk. */
static double write_file(const char *folder, uint64_t bytes, uint64_t sync_bytes)
{
	char path[4096];
	(void)snprintf(path, sizeof path, "%s/bench_echo.XXXXXX", folder);
	int fd = mkstemp(path);
	if (fd < 0) {
		die("'%s': %s", path, strerror(errno));
	}
	uint8_t *data = allocate(WRITE_BYTES);
	memset(data, 0x5a, WRITE_BYTES);
	const uint64_t start = now_ns();
	uint64_t synced = 0;
	for (uint64_t at = 0; at < bytes;) {
		const uint64_t left = bytes - at;
		ssize_t n = write(fd, data, left < WRITE_BYTES ? (size_t)left : WRITE_BYTES);
		if (n < 0) {
			die("'%s': %s", path, strerror(errno));
		}
		at += (uint64_t)n;
		if ((at == bytes || at - synced >= sync_bytes) && fdatasync(fd) == 0) {
			synced = at;
		}
	}
	const uint64_t end = now_ns();
	free(data);
	close(fd);
	(void)unlink(path);
	if (synced != bytes) {
		die("'%s': fdatasync: %s", path, strerror(errno));
	}
	return (double)(end - start) / 1e9;
}

static void disk(const char *folder, uint64_t bytes)
{
	const double at_end = write_file(folder, bytes, UINT64_MAX);
	const double each = write_file(folder, bytes, SYNC_BYTES);
	printf("disk_at_end %.3f s\ndisk_each_8mib %.3f s\n", at_end, each);
	printf("disk_at_end_rate %.0f MB/s\ndisk_each_8mib_rate %.0f MB/s\n",
		(double)bytes / 1e6 / at_end, (double)bytes / 1e6 / each);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "disk") == 0) {
		if (argc != 4) {
			return 2;
		}
		disk(argv[2], strtoull(argv[3], NULL, 10));
		return 0;
	}
	const uint64_t rows_count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	const uint32_t keys = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 500;
	const double seconds = argc > 3 ? strtod(argv[3], NULL) : 1;
	if (rows_count == 0 || keys == 0 || !(seconds > 0)) {
		return 2;
	}
	const uint64_t for_ns = (uint64_t)(seconds * 1e9);
	uint8_t *rows = rows_make(rows_count);
	struct questions one;
	struct questions many;
	questions_init(&one, REQUESTS, 1, rows_count);
	questions_init(&many, REQUESTS, keys, rows_count);
	measure(&peer_echo, &one, rows, for_ns);
	measure(&peer_limit, &many, rows, for_ns);
	measure(&peer_plain_limit, &many, rows, for_ns);
	measure(&peer_memcpy, &many, rows, for_ns);
	measure(&peer_plain_memcpy, &many, rows, for_ns);
	questions_fini(&one);
	questions_fini(&many);
	rows_drop(rows, rows_count);
	return 0;
}
