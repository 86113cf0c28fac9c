/* fuzz_dispatch.c - requests of any kind, of peers of any role, to a real server over a real store.
 *
 * Each of them is answered well; who may not do something is denied and changes nothing; and whatever was asked, the store is
 * sound. An input is a byte for the role of the peer, one for how its requests are sent, and its requests (grammar.h).
 *
 * The store outlives an input, and is made anew after so many. REPSTORE_TRAIL=FILE runs the inputs of a trail (world.h) before
 * the first one.
 */
#include "tests/fuzz/dispatch/grammar.h"
#include "tests/fuzz/dispatch/peer.h"
#include "tests/fuzz/dispatch/world.h"

#include "daemon/access/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
	INPUTS_OF_A_WORLD = 4000,
	REQUESTS_MAX = 16,
	CHECK_EVERY = 32, /* inputs */
	/* One input in so many goes through a socket, whose threads take far longer than most requests; the others are
	 * run on this thread. Their bytes decide, and not the fuzzer, which would keep the slow ones. */
	BY_SOCKET_ONE_IN = 16,
	TOGETHER = 0xc0, /* a byte from here on: at a socket all requests are sent at once */
};

static struct wire_writer sent;

static void send_requests(struct choices *choices, bool by_socket)
{
	const bool together = choose(choices) >= TOGETHER && by_socket;
	wire_writer_clear(&sent);
	for (uint32_t i = 0; i < REQUESTS_MAX && (i == 0 || choices->at < choices->end); i++) {
		grammar_write(choices, i + 1, &sent);
		if (together) {
			continue;
		}
		if (by_socket) {
			peer_exchange(sent.data, sent.len);
		} else {
			peer_run(world_service(), sent.data, sent.len);
		}
		wire_writer_clear(&sent);
	}
	if (together) {
		peer_exchange(sent.data, sent.len);
	}
}

static void run(const uint8_t *data, size_t size)
{
	struct choices choices = {.at = data, .end = data + size};
	struct world_state before;
	struct world_state after;
	const enum role role =
		role_at(ROLE_COUNT - 1 - (unsigned)choose_below(&choices, ROLE_COUNT));
	const bool may_change = role != ROLE_ANYBODY && role != ROLE_READ;
	const bool by_socket = XXH3_64bits(data, size) % BY_SOCKET_ONE_IN == 0;
	world_open();
	world_note(data, size);
	world_give_role(role);
	world_state(&before);
	send_requests(&choices, by_socket);
	if (by_socket) {
		world_settle(); /* notifications have no answer */
	}
	world_state(&after);
	if (!may_change) {
		REQUIRE(memcmp(&before, &after, sizeof before) == 0);
	}
	if (role == ROLE_WRITE) {
		REQUIRE(after.live == before.live && after.releases >= before.releases);
	} else if (role == ROLE_PUBLISH) {
		REQUIRE(after.sequence == before.sequence && after.releases == before.releases);
	}
}

static void run_trail(const char *path)
{
	uint32_t len;
	FILE *file = fopen(path, "rbe");
	REQUIRE(file != NULL);
	while (fread(&len, sizeof len, 1, file) == 1 && len != 0) {
		uint8_t *data = malloc(len);
		REQUIRE(data != NULL && fread(data, 1, len - 1, file) == len - 1);
		run(data, len - 1);
		free(data);
	}
	(void)fclose(file);
	world_check();
}

/* The fuzzer looks for leaks after an input, while threads free what is theirs: world_close looks when they have ended. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char *all[64];
	static char no_leaks[] = "-detect_leaks=0";
	const int count = *argc < 62 ? *argc : 62;
	memcpy(all, *argv, (size_t)count * sizeof all[0]);
	all[count] = no_leaks;
	*argc = count + 1;
	*argv = all;
	return 0;
}

static void finish(void)
{
	wire_writer_fini(&sent);
	world_close();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	if (inputs == 0) {
		const char *trail = getenv("REPSTORE_TRAIL");
		(void)atexit(finish);
		if (trail != NULL) {
			run_trail(trail);
		}
	}
	run(data, size);
	inputs++;
	if (inputs % CHECK_EVERY == 0) {
		world_check();
	}
	if (inputs % INPUTS_OF_A_WORLD == 0) {
		world_close();
	}
	return 0;
}
