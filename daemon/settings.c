/* settings.c - holds the table of settings, and reads the command line. */
#include "daemon/settings.h"

#include "daemon/settings_value.h"
#include "schema/limits.h"
#include "schema/spin.h"

#include <assert.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum {
	SETTINGS_WORKERS_MAX = 256,
	SETTINGS_POOL_MAX = 256,
	SETTINGS_HANDSHAKES_MAX = 64,
	SETTINGS_WAITING_MAX = 65536,
	SETTINGS_CONNECTIONS_MAX = 65536,
	SETTINGS_IN_FLIGHT_MAX = 4096,
	SETTINGS_KEYS_MAX = LIMIT_MESSAGE_BYTES /
			    2, /* what a message can hold: a byte string takes two bytes */
	/* The largest message, and the memory that parsing it may need. */
	SETTINGS_REQUEST_MEMORY_MIN = 128 << 20,
	SETTINGS_REPLY_MEMORY_MIN = LIMIT_MESSAGE_BYTES,
	/* Two runs of a load: one is filled while the other is written. */
	SETTINGS_LOAD_MEMORY_MIN = 128 << 20,
	SETTINGS_CATALOG_MIN = 16 << 20,
	SETTINGS_INDEX_MEMORY_MIN = 64 << 20,
	/* Twice the largest request. */
	SETTINGS_LOG_MIN = 128 << 20,
	SETTINGS_MEMTABLE_ROWS_MIN = 1000,
	SETTINGS_MERGE_RATE_MIN = 1 << 20,
	/* A file, an eighth of it, holds a fetch of a thousand rows. */
	SETTINGS_SERVED_MIN = 8 << 20,
	SETTINGS_TIME_MAX_MS = 24 * 3600 * 1000,
	SETTINGS_WORK_MIN_MS = 10,
	/* The memory of one element of a message when it is parsed. */
	PARSED_BYTES = 32,
};
static_assert(LIMIT_MESSAGE_BYTES + LIMIT_MESSAGE_ELEMENTS * PARSED_BYTES <=
		      SETTINGS_REQUEST_MEMORY_MIN,
	"the largest message can be taken");

#define MIB   (UINT64_C(1) << 20)
#define GIB   (UINT64_C(1) << 30)
#define TIB   (UINT64_C(1) << 40)
#define AT(x) offsetof(struct settings, x)

/* Each setting has a key in the file, and some have an option on the command line. */
static const struct setting settings_table[] = {
	{"store", "data", "--data", "DIR", "data folder", setting_text, AT(data), 0, 0,
		SETTING_FIXED},
	{"store", "backup_folder", "--backup-folder", "DIR", "folder that backups lie in",
		setting_text, AT(backup_folder), 0, 0, SETTING_FIXED},
	{"store", "load_memory", "--load-memory", "SIZE", "memory of bulk loads, and of a seal",
		setting_bytes, AT(load_memory_bytes), SETTINGS_LOAD_MEMORY_MIN, TIB, SETTING_FIXED},
	{"store", "catalog_size", NULL, NULL, NULL, setting_bytes, AT(catalog_bytes),
		SETTINGS_CATALOG_MIN, TIB, SETTING_FIXED},
	{"store", "index_memory", NULL, NULL, NULL, setting_bytes, AT(index_memory_bytes),
		SETTINGS_INDEX_MEMORY_MIN, TIB, SETTING_FIXED},
	{"store", "index_time", NULL, NULL, NULL, setting_ms, AT(index_time_ms), 1000,
		SETTINGS_TIME_MAX_MS, SETTING_FIXED},
	{"store", "disk_reserve", "--disk-reserve", "SIZE",
		"of the disk, free for merges: loads and writes stop", setting_bytes,
		AT(disk_reserve_bytes), 0, TIB, SETTING_LIVE},
	{"log", "durability", "--durability", "sync|periodic",
		"when a write is acknowledged: synced, or written", setting_durability,
		AT(periodic), 0, 0, SETTING_FIXED},
	{"log", "sync_interval", NULL, NULL, NULL, setting_ms, AT(sync_interval_ms), 1,
		SETTINGS_TIME_MAX_MS, SETTING_LIVE},
	{"log", "log_size", "--log-size", "SIZE", "writes that wait for a merge, at most",
		setting_bytes, AT(log_bytes), SETTINGS_LOG_MIN, TIB, SETTING_LIVE},
	{"log", "memtable_rows", NULL, NULL, NULL, setting_count, AT(memtable_rows),
		SETTINGS_MEMTABLE_ROWS_MIN, UINT32_MAX, SETTING_LIVE},
	{"log", "memtable_memory", "--memtable-memory", "SIZE", "memory of what waits for a merge",
		setting_bytes, AT(memtable_bytes), SETTINGS_LOG_MIN, TIB, SETTING_LIVE},
	{"log", "merge_age", NULL, NULL, NULL, setting_ms, AT(merge_age_ms), 1,
		SETTINGS_TIME_MAX_MS, SETTING_LIVE},
	{"log", "merge_rate", NULL, NULL, NULL, setting_bytes, AT(merge_rate_bytes),
		SETTINGS_MERGE_RATE_MIN, TIB, SETTING_LIVE},
	{"net", "listen", "--listen", "ADDRESS",
		"unix:PATH, tls:HOST:PORT, tcp:HOST:PORT or a path; may be repeated",
		setting_listen, 0, 0, 0, SETTING_FIXED},
	{"net", "socket_mode", NULL, NULL, NULL, setting_mode, AT(socket_mode), 0, 0777,
		SETTING_FIXED},
	{"net", "workers", "--workers", "N", "threads that answer requests", setting_count,
		AT(workers), 1, SETTINGS_WORKERS_MAX, SETTING_FIXED},
	{"net", "pool", "--pool", "N", "threads for what may block", setting_count, AT(pool), 1,
		SETTINGS_POOL_MAX, SETTING_FIXED},
	{"net", "search_threads", "--search-threads", "N", "threads for long searches",
		setting_count, AT(search_threads), 1, SETTINGS_POOL_MAX, SETTING_FIXED},
	{"net", "search_waiting", NULL, NULL, NULL, setting_count, AT(search_waiting), 1,
		SETTINGS_WAITING_MAX, SETTING_FIXED},
	{"net", "max_connections", "--max-connections", "N", "more are refused", setting_count,
		AT(max_connections), 1, SETTINGS_CONNECTIONS_MAX, SETTING_LIVE},
	{"net", "user_connections", NULL, NULL, NULL, setting_count, AT(user_connections), 0,
		SETTINGS_CONNECTIONS_MAX, SETTING_LIVE},
	{"net", "in_flight", NULL, NULL, NULL, setting_count, AT(in_flight), 1,
		SETTINGS_IN_FLIGHT_MAX, SETTING_LIVE},
	{"net", "request_keys", NULL, NULL, NULL, setting_count, AT(request_keys), 1000,
		SETTINGS_KEYS_MAX, SETTING_LIVE},
	{"net", "request_work", NULL, NULL, NULL, setting_ms, AT(request_work_ms),
		SETTINGS_WORK_MIN_MS, SETTINGS_TIME_MAX_MS, SETTING_LIVE},
	{"net", "connection_reply_memory", NULL, NULL, NULL, setting_bytes,
		AT(connection_reply_bytes), 4096, TIB, SETTING_LIVE},
	{"net", "queue_time", NULL, NULL, NULL, setting_ms, AT(queue_ms), 0, SETTINGS_TIME_MAX_MS,
		SETTING_LIVE},
	{"net", "idle_timeout", NULL, NULL, NULL, setting_ms, AT(idle_timeout_ms), 0,
		SETTINGS_TIME_MAX_MS, SETTING_LIVE},
	{"net", "request_memory", "--request-memory", "SIZE", "memory of large requests",
		setting_bytes, AT(request_memory_bytes), SETTINGS_REQUEST_MEMORY_MIN, TIB,
		SETTING_LIVE},
	{"net", "reply_memory", "--reply-memory", "SIZE", "memory of replies not yet sent",
		setting_bytes, AT(reply_memory_bytes), SETTINGS_REPLY_MEMORY_MIN, TIB,
		SETTING_LIVE},
	{"net", "kept_connections", NULL, NULL, NULL, setting_count, AT(kept_connections), 0,
		SETTINGS_CONNECTIONS_MAX, SETTING_LIVE},
	{"net", "kept_memory", NULL, NULL, NULL, setting_bytes, AT(kept_memory_bytes), 0, TIB,
		SETTING_LIVE},
	{"net", "least_rate", NULL, NULL, NULL, setting_bytes, AT(least_rate_bytes), 0, TIB,
		SETTING_LIVE},
	{"net", "request_timeout", NULL, NULL, NULL, setting_ms, AT(request_timeout_ms), 0,
		SETTINGS_TIME_MAX_MS, SETTING_LIVE},
	{"net", "slow_threshold", "--slow-threshold", "TIME",
		"requests that take longer are kept in the slow log; 0: none", setting_ms,
		AT(slow_threshold_ms), 0, SETTINGS_TIME_MAX_MS, SETTING_LIVE},
	{"net", "stop_grace", NULL, NULL, NULL, setting_ms, AT(stop_grace_ms), 0,
		SETTINGS_TIME_MAX_MS, SETTING_LIVE},
	{"net", "spin_us", NULL, NULL, NULL, setting_count, AT(spin_us), 0, SPIN_US_MAX,
		SETTING_FIXED},
	{"access", "read", "--read", "WHO", "who may read; WHO is a list of user:NAME,",
		setting_access, 0, ROLE_READ, 0, SETTING_LIVE},
	{"access", "write", "--write", "WHO", "  group:NAME, cert:KIND=PATTERN, tcp:loopback",
		setting_access, 0, ROLE_WRITE, 0, SETTING_LIVE},
	{"access", "publish", "--publish", "WHO", "who may publish and roll back", setting_access,
		0, ROLE_PUBLISH, 0, SETTING_LIVE},
	{"access", "admin", "--admin", "WHO", "who may do everything", setting_access, 0,
		ROLE_ADMIN, 0, SETTING_LIVE},
	{"http", "listen", "--http", "ADDRESS", "metrics and health: unix:PATH or tcp:HOST:PORT",
		setting_text, AT(http_listen), 0, 0, SETTING_FIXED},
	{"http", "expose", NULL, NULL, NULL, setting_expose, AT(http_exposes_metrics), 0, 0,
		SETTING_FIXED},
	{"http", "socket_mode", NULL, NULL, NULL, setting_mode, AT(http_socket_mode), 0, 0777,
		SETTING_FIXED},
	{"http", "ready_resident", NULL, NULL, NULL, setting_count, AT(ready_resident), 0, 100,
		SETTING_FIXED},
	{"http", "page", NULL, NULL, NULL, setting_page, AT(http_hides_page), 0, 0, SETTING_FIXED},
	{"tls", "certificate", "--tls-certificate", "FILE",
		"what the daemon shows at tls: addresses (PEM)", setting_text, AT(tls_certificate),
		0, 0, SETTING_LIVE},
	{"tls", "key", "--tls-key", "FILE", "its private key", setting_text, AT(tls_key), 0, 0,
		SETTING_LIVE},
	{"tls", "authority", "--tls-authority", "FILE", "who signs the certificates of peers",
		setting_text, AT(tls_authority), 0, 0, SETTING_LIVE},
	{"tls", "crl", "--tls-crl", "FILE", "certificates that were revoked", setting_text,
		AT(tls_crl), 0, 0, SETTING_LIVE},
	{"tls", "handshakes", NULL, NULL, NULL, setting_count, AT(tls_handshakes), 1,
		SETTINGS_HANDSHAKES_MAX, SETTING_FIXED},
	{"tls", "handshake_timeout", NULL, NULL, NULL, setting_ms, AT(tls_handshake_timeout_ms),
		100, SETTINGS_TIME_MAX_MS, SETTING_FIXED},
	{"served", "file", "--served-file", "FILE", "what a share of the fetches was answered",
		setting_text, AT(served_file), 0, 0, SETTING_FIXED},
	{"served", "rate", "--served-rate", "SHARE", "that share, by the first key: 0 to 1",
		setting_share, AT(served_rate_ppm), 0, 0, SETTING_LIVE},
	{"served", "size", NULL, NULL, NULL, setting_bytes, AT(served_bytes), SETTINGS_SERVED_MIN,
		TIB, SETTING_LIVE},
	{"served", "rows", NULL, NULL, NULL, setting_rows, AT(served_rows), 0, 0, SETTING_LIVE},
	{"served", "write_rate", NULL, NULL, NULL, setting_bytes, AT(served_byte_rate), 1 << 10,
		TIB, SETTING_LIVE},
};
static const size_t settings_count = sizeof settings_table / sizeof settings_table[0];

/* The processors that this process may use. */
static unsigned count_processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) != 0) {
		return 1;
	}
	int count = CPU_COUNT(&set);
	return count < SETTINGS_WORKERS_MAX ? (unsigned)count : SETTINGS_WORKERS_MAX;
}

void settings_init(struct settings *settings)
{
	*settings = (struct settings){
		.data = "/var/lib/repstore",
		.listen = {"unix:/run/repstore/repstore.sock"},
		.listen_is_default = true,
		.socket_mode = 0666,
		.workers = count_processors(),
		.pool = 2,
		.search_threads = count_processors(),
		.search_waiting = 256,
		.max_connections = 1024,
		.in_flight = 64,
		.request_keys = SETTINGS_KEYS_MAX,
		.request_work_ms = LIMIT_CALL_MS,
		.connection_reply_bytes = 256 << 10,
		.load_memory_bytes = 512 * MIB,
		.catalog_bytes = GIB,
		.index_memory_bytes = GIB,
		.index_time_ms = 3600 * 1000,
		.disk_reserve_bytes = 64 * MIB,
		.sync_interval_ms = 1000,
		.log_bytes = GIB,
		.memtable_rows = 1500000,
		.memtable_bytes = GIB,
		.merge_age_ms = 3600 * 1000,
		.merge_rate_bytes = 100 * MIB,
		.request_memory_bytes = 256 * MIB,
		.reply_memory_bytes = GIB,
		.kept_connections = 8,
		.kept_memory_bytes = 16 * MIB,
		.least_rate_bytes = 64 << 10,
		.request_timeout_ms = 30 * 1000,
		.slow_threshold_ms = 10,
		.stop_grace_ms = 3 * 1000,
		.access_is_default = SETTINGS_ROLES,
		.http_listen = "none",
		.http_socket_mode = 0660,
		.ready_resident = 90,
		.tls_handshakes = 2,
		.tls_handshake_timeout_ms = 5 * 1000,
		.served_bytes = GIB,
		.served_byte_rate = 16 * MIB,
	};
	access_rules_init(&settings->access);
	settings->listen_count = 1;
}

const struct setting *settings_find_key(const char *section, const char *key)
{
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		if (strcmp(setting->section, section) == 0 && strcmp(setting->key, key) == 0) {
			return setting;
		}
	}
	return NULL;
}

static void append_word(char *out, size_t size, const char *word)
{
	const size_t len = strlen(out);
	const bool is_first = out[len - 1] == ' ';
	(void)snprintf(out + len, size - len, "%s%s", is_first ? "" : ", ", word);
}

void settings_list(char *out, size_t size, const char *section)
{
	bool is_known = false;
	for (size_t i = 0; i < settings_count; i++) {
		is_known = is_known || strcmp(settings_table[i].section, section) == 0;
	}
	(void)snprintf(out, size, "%s", is_known ? "its keys are " : "the sections are ");
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		const bool is_first =
			i == 0 || strcmp(setting->section, settings_table[i - 1].section) != 0;
		if (is_known && strcmp(setting->section, section) == 0) {
			append_word(out, size, setting->key);
		} else if (!is_known && is_first) {
			append_word(out, size, setting->section);
		}
	}
}

/* ---- the command line ---- */

/* `--name value` or `--name=value`. */
struct argument {
	const char *text;
	size_t name_len;
	const char *value; /* NULL: none was given */
	int next;          /* index of the argument after it */
};

static struct argument read_argument(int argc, const char *const *argv, int i)
{
	const char *equals = strchr(argv[i], '=');
	struct argument argument = {.text = argv[i], .next = i + 1};
	if (equals != NULL) {
		argument.name_len = (size_t)(equals - argv[i]);
		argument.value = equals + 1;
	} else {
		argument.name_len = strlen(argv[i]);
		argument.value = i + 1 < argc ? argv[i + 1] : NULL;
		argument.next = i + 2;
	}
	return argument;
}

static bool is_named(const struct argument *argument, const char *name)
{
	return name != NULL && strlen(name) == argument->name_len &&
	       memcmp(argument->text, name, argument->name_len) == 0;
}

static const struct setting *find_option(const struct argument *argument)
{
	for (size_t i = 0; i < settings_count; i++) {
		if (is_named(argument, settings_table[i].option)) {
			return &settings_table[i];
		}
	}
	return NULL;
}

/* The one argument of ours that has no value. */
static bool is_check(const char *text)
{
	return strcmp(text, "--check-config") == 0;
}

static enum status unknown(const struct argument *argument, struct error *err)
{
	return error_set(err, STATUS_BAD_REQUEST, "unknown argument '%s'", argument->text);
}

static enum status no_value(const struct argument *argument, struct error *err)
{
	return error_set(err, STATUS_BAD_REQUEST, "%s: a value is missing", argument->text);
}

/* What is wished beside a run by an argument that has no value; false: it is no such. */
static bool is_told_alone(const struct argument *argument, enum settings_wish *wish)
{
	static const struct {
		const char *text;
		enum settings_wish wish;
	} alone[] = {
		{"--help", SETTINGS_HELP},
		{"-h", SETTINGS_HELP},
		{"--version", SETTINGS_VERSION},
		{"-V", SETTINGS_VERSION},
	};
	for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
		if (strcmp(argument->text, alone[i].text) == 0) {
			*wish = alone[i].wish;
			return true;
		}
	}
	return false;
}

enum status settings_find(int argc, const char *const *argv, enum settings_wish *wish,
	const char **config, struct error *err)
{
	*wish = SETTINGS_RUN;
	for (int i = 1; i < argc;) {
		struct argument argument = read_argument(argc, argv, i);
		if (is_check(argv[i])) {
			*wish = SETTINGS_CHECK;
			i++;
			continue;
		}
		if (is_told_alone(&argument, wish)) {
			return STATUS_OK;
		}
		bool is_config = is_named(&argument, "--config");
		bool is_verify = is_named(&argument, "--verify");
		bool is_folder = is_verify || is_named(&argument, "--upgrade");
		if (!is_config && !is_folder && find_option(&argument) == NULL) {
			return unknown(&argument, err);
		}
		if (argument.value == NULL) {
			return no_value(&argument, err);
		}
		if (is_config || is_folder) {
			*config = argument.value;
		}
		if (is_folder) {
			*wish = is_verify ? SETTINGS_VERIFY : SETTINGS_UPGRADE;
			return STATUS_OK;
		}
		i = argument.next;
	}
	return STATUS_OK;
}

enum status settings_apply(struct settings *settings, int argc, const char *const *argv,
	struct error *err)
{
	settings->listen_is_default = true;
	settings->access_is_default = SETTINGS_ROLES;
	for (int i = 1; i < argc;) {
		struct argument argument = read_argument(argc, argv, i);
		const struct setting *setting = find_option(&argument);
		i = is_check(argv[i]) ? i + 1 : argument.next;
		if (setting == NULL) {
			continue;
		}
		struct error why;
		assert(argument.value != NULL); /* else settings_find had refused it */
		enum status status = setting->set(setting, settings, argument.value, &why);
		if (status != STATUS_OK) {
			return error_set(err, status, "%s: %s", setting->option, why.text);
		}
	}
	return STATUS_OK;
}

enum status settings_load(struct settings *settings, const struct settings_source *source,
	struct error *err)
{
	enum settings_wish wish;
	const char *config = NULL;
	settings_init(settings);
	enum status status = settings_find(source->argc, source->argv, &wish, &config, err);
	if (status == STATUS_OK && config == NULL && access(source->usual, F_OK) == 0) {
		config = source->usual;
	}
	if (status == STATUS_OK && config != NULL) {
		status = settings_read(settings, config, err);
	}
	return status == STATUS_OK ? settings_apply(settings, source->argc, source->argv, err)
				   : status;
}

unsigned settings_adopt(struct settings *settings, const struct settings *wanted,
	struct settings_change changes[SETTINGS_CHANGES_MAX])
{
	unsigned count = 0;
	static_assert(sizeof settings_table / sizeof settings_table[0] <= SETTINGS_CHANGES_MAX,
		"each setting may differ");
	bool differs[SETTINGS_CHANGES_MAX];
	for (size_t i = 0; i < settings_count; i++) {
		differs[i] = !setting_is_same(&settings_table[i], settings, wanted);
	}
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		if (!differs[i]) {
			continue;
		}
		const bool taken = setting->life == SETTING_LIVE;
		if (taken) {
			setting_copy(setting, settings, wanted);
		}
		changes[count++] = (struct settings_change){setting->section, setting->key, taken};
	}
	memcpy(settings->config, wanted->config, sizeof settings->config);
	return count;
}

void settings_print_help(FILE *file)
{
	(void)fprintf(file, "usage: repstored [--config FILE] [OPTION]...\n\n");
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		char option[64];
		if (setting->option == NULL) {
			continue;
		}
		(void)snprintf(option, sizeof option, "%s %s", setting->option, setting->argument);
		(void)fprintf(file, "  %-22s %s\n", option, setting->help);
	}
	(void)fprintf(file, "  %-22s %s\n", "--config FILE", "settings; see repstored(8)");
	(void)fprintf(file, "  %-22s %s\n", "--check-config",
		"say whether the settings are fine, and exit");
	(void)fprintf(file, "  %-22s %s\n", "--verify DIR",
		"compare a folder with its checksums, and exit");
	(void)fprintf(file, "  %-22s %s\n", "--upgrade DIR",
		"bring a data folder of repstored 0.1 to today's formats, and exit");
	(void)fprintf(file, "  %-22s %s\n", "-V, --version", "print the version");
	(void)fprintf(file, "  %-22s %s\n", "-h, --help", "print this");
}
