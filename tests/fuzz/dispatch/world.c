/* world.c - makes and ends the store and the server, and looks whether both are sound. */
#include "tests/fuzz/dispatch/world.h"

#include "daemon/access/access.h"
#include "daemon/method/call/method.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"
#include "daemon/net/net_figures.h"
#include "daemon/net/server.h"
#include "daemon/store/figures.h"
#include "daemon/store/live_figures.h"
#include "daemon/store/store.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/verify/verify.h"
#include "tests/fuzz/dispatch/content.h"
#include "tests/fuzz/dispatch/peer.h"

#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_CHECK
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_CHECK
#endif
#ifdef HAS_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif

enum {
	PATH_BYTES = 128,
	TRAIL_BYTES = 8 << 20,
	MEMORY_BYTES = 256 << 20,
	INDEX_ROWS_MIN = 50,
};

static struct {
	bool is_open;
	char folder[PATH_BYTES]; /* that has all the others */
	char data[PATH_BYTES + 8];
	char backups[PATH_BYTES + 8];
	struct service service;
	struct access access;
	enum role role; /* of the peer; 0: not given yet */
	struct slow_log slow_log;
	struct server *server;
	uv_loop_t uv;
	uv_async_t stop;
	pthread_t thread;
	atomic_uint complaints; /* events of what must not happen */
	uint8_t *trail;         /* mapped */
	size_t trail_len;
} world;

_Noreturn void require_failed(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: %s\nthe inputs that led here: %s/trail\n", file, line, what,
		world.folder);
	abort();
}

/* ---- events ---- */

static void on_event(void *arg, const char *line)
{
	static const char *const bad[] = {"event=damage", "event=merge_failed", "event=read_only",
		"event=index_failed", "event=leftover"};
	(void)arg;
	REQUIRE(strncmp(line, "event=", 6) == 0);
	for (const char *at = line; *at != '\0'; at++) {
		REQUIRE(*at >= ' ' && *at <= '~');
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (strncmp(line, bad[i], strlen(bad[i])) == 0) {
			(void)fprintf(stderr, "%s\n", line);
			atomic_fetch_add(&world.complaints, 1);
		}
	}
}

/* ---- folders ---- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* In memory, where that is: a sync takes milliseconds elsewhere. */
static void make_folders(void)
{
	const char *above = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	(void)snprintf(world.folder, sizeof world.folder, "%s/repstore-fuzz-XXXXXX", above);
	REQUIRE(mkdtemp(world.folder) != NULL);
	(void)snprintf(world.data, sizeof world.data, "%s/data", world.folder);
	(void)snprintf(world.backups, sizeof world.backups, "%s/backup", world.folder);
	REQUIRE(mkdir(world.backups, 0700) == 0);
}

static void open_trail(void)
{
	char path[PATH_BYTES + 8];
	(void)snprintf(path, sizeof path, "%s/trail", world.folder);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, TRAIL_BYTES) == 0);
	world.trail = mmap(NULL, TRAIL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(world.trail != MAP_FAILED && close(fd) == 0);
	world.trail_len = 0;
}

void world_note(const uint8_t *data, size_t size)
{
	const uint32_t len =
		(uint32_t)size + 1; /* zeros end the trail, and an input may be empty */
	if (world.trail_len + sizeof len + size <= TRAIL_BYTES) {
		memcpy(world.trail + world.trail_len, &len, sizeof len);
		memcpy(world.trail + world.trail_len + sizeof len, data, size);
		world.trail_len += sizeof len + size;
	}
}

/* ---- store ---- */

static struct store *open_store(void)
{
	const struct store_options options = {
		.folder = world.data,
		.backup_folder = world.backups,
		.load_memory_bytes = 128u << 20,
		.catalog_bytes = 64u << 20,
		.sizes.index_rows_min = INDEX_ROWS_MIN,
		.sizes.index_memory = 16 << 20,
		.on_event = on_event,
	};
	struct store *store = NULL;
	struct error err = {.text = ""};
	if (store_open(&options, &store, &err) != STATUS_OK) {
		(void)fprintf(stderr, "%s\n", err.text);
		REQUIRE(false);
	}
	return store;
}

static void read_state(struct store *store, struct world_state *out)
{
	struct store_figures figures;
	struct live_figures live;
	store_figures(store, &figures);
	REQUIRE(store_live_figures(store, &live) == STATUS_OK);
	*out = (struct world_state){
		.sequence = figures.write.sequence,
		.releases = figures.releases,
		.tables = figures.tables,
		.tensors = figures.tensors,
		.live = live.live == NULL ? 0 : live.live->number,
	};
	live_figures_fini(&live);
}

void world_state(struct world_state *out)
{
	read_state(world.service.store, out);
}

void world_check(void)
{
	struct store_figures figures;
	store_figures(world.service.store, &figures);
	REQUIRE(figures.segments_damaged == 0);
	REQUIRE(figures.write.merges_failed == 0);
	REQUIRE(!figures.write.read_only);
	REQUIRE(figures.verify.last_damaged == 0);
	REQUIRE(atomic_load(&world.complaints) == 0);
	REQUIRE(server_is_alive(world.server, 600000));
}

static void on_damage(void *arg, const struct verify_damage *damage)
{
	(void)arg;
	(void)fprintf(stderr, "%s: %s\n", damage->file, damage->what);
}

/* What was closed verifies, and opens with all that was there. */
static void check_closed(const struct world_state *before)
{
	const struct verify_wish wish = {.found = on_damage};
	struct verify_result verified;
	struct world_state after;
	struct error err = {.text = ""};
	const enum status status = verify_folder(world.data, &wish, &verified, &err);
	if (status != STATUS_OK || verified.damaged != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		REQUIRE(status == STATUS_OK);
		REQUIRE(verified.damaged == 0);
	}
	struct store *store = open_store();
	read_state(store, &after);
	store_close(store);
	REQUIRE(after.sequence == before->sequence);
	REQUIRE(after.releases == before->releases);
	REQUIRE(after.tables == before->tables && after.tensors == before->tensors);
	REQUIRE(after.live == before->live);
}

/* ---- server ---- */

static void on_stopped(void *arg)
{
	(void)arg;
	uv_close((uv_handle_t *)&world.stop, NULL);
}

static void on_stop(uv_async_t *async)
{
	(void)async;
	server_stop(world.server, on_stopped, NULL);
}

static void *run_server(void *arg)
{
	(void)arg;
	(void)uv_run(&world.uv, UV_RUN_DEFAULT);
	return NULL;
}

void world_give_role(enum role role)
{
	static struct access_rules rules;
	if (role == world.role) {
		return;
	}
	world.role = role;
	access_rules_init(&rules);
	REQUIRE(role == ROLE_ANYBODY ||
		access_rules_add(&rules, role, "tcp:loopback", NULL) == STATUS_OK);
	access_replace(&world.access, &rules);
	peer_has_roles((unsigned)ROLE_ANYBODY | role_contained(role));
}

struct service *world_service(void)
{
	return &world.service;
}

const struct server *world_server(void)
{
	return world.server;
}

const char *world_folder(void)
{
	return world.folder;
}

void world_settle(void)
{
	const struct timespec pause = {.tv_nsec = 100000};
	struct method_figures figures;
	for (size_t i = 0; i < method_count; i++) {
		net_figures_method(server_stats(world.server), i, &figures);
		while (figures.away != 0) {
			(void)nanosleep(&pause, NULL);
			net_figures_method(server_stats(world.server), i, &figures);
		}
	}
}

static void open_server(void)
{
	struct address address;
	struct listener listener;
	struct sockaddr_in at;
	socklen_t len = sizeof at;
	REQUIRE(address_parse("tcp:127.0.0.1:0", &address, NULL) == STATUS_OK);
	REQUIRE(listener_open(&address, 0600, &listener, NULL) == STATUS_OK);
	REQUIRE(getsockname(listener.fd, (struct sockaddr *)&at, &len) == 0);
	REQUIRE(uv_loop_init(&world.uv) == 0);
	REQUIRE(uv_async_init(&world.uv, &world.stop, on_stop) == 0);
	const struct server_options options = {
		.uv = &world.uv,
		.listeners = &listener,
		.listener_count = 1,
		.workers = 1,
		.pool = 1,
		.search_threads = 1,
		.search_waiting = 16,
		.spare = 2,
		.limits = {.max_connections = 64,
			.in_flight = 64,
			.connection_reply_bytes = 1 << 20,
			.grace_ms = 60000},
		.memory = {.request_bytes = MEMORY_BYTES, .reply_bytes = MEMORY_BYTES},
		.service = &world.service,
		.access = &world.access,
		.on_event = on_event,
	};
	REQUIRE(server_open(&options, &world.server, NULL) == STATUS_OK);
	REQUIRE(pthread_create(&world.thread, NULL, run_server, NULL) == 0);
	peer_aim(&at);
}

/* ---- all ---- */

void world_open(void)
{
	static const char *const listen[] = {"tcp:127.0.0.1:0", NULL};
	static struct access_rules rules;
	if (world.is_open) {
		return;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	world.is_open = true;
	world.role = 0;
	make_folders();
	open_trail();
	atomic_store(&world.complaints, 0);
	slow_log_init(&world.slow_log, 1);
	access_rules_init(&rules);
	access_init(&world.access, &rules);
	memset(&world.service, 0, sizeof world.service);
	world.service.version = "fuzz";
	world.service.started_ms = clock_monotonic_ms();
	world.service.workers = 1;
	world.service.pool = 1;
	world.service.request_keys = 1 << 20;
	world.service.request_work_ms = LIMIT_CALL_MS;
	world.service.listen = listen;
	world.service.access = &world.access;
	world.service.slow_log = &world.slow_log;
	method_thread_begin();
	world.service.store = open_store();
	open_server();
	content_make();
	world_check();
}

void world_close(void)
{
	struct world_state state;
	if (!world.is_open) {
		return;
	}
	world_check();
	peer_end();
	uv_async_send(&world.stop);
	REQUIRE(pthread_join(world.thread, NULL) == 0);
	REQUIRE(server_close(world.server) == STATUS_OK);
	REQUIRE(uv_loop_close(&world.uv) == 0);
	read_state(world.service.store, &state); /* now that every request has ended */
	store_close(world.service.store);
	check_closed(&state);
	access_fini(&world.access);
	slow_log_fini(&world.slow_log);
	method_thread_end();
#ifdef HAS_LEAK_CHECK
	REQUIRE(__lsan_do_recoverable_leak_check() == 0);
#endif
	REQUIRE(munmap(world.trail, TRAIL_BYTES) == 0);
	REQUIRE(nftw(world.folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
	world.is_open = false;
}
