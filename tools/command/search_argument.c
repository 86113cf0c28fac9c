/* search_argument.c - reads a query's key and chain of layers,
 * and prints the keys that were found. */
#include "tools/command/search_argument.h"

#include "schema/metric.h"
#include "tools/command/key_argument.h"
#include "tools/command/table_argument.h"
#include "tools/format/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_steps(const struct session *session, struct search_argument *argument)
{
	struct error wrong;
	if (argument->through == NULL) {
		return EXIT_DONE;
	}
	const enum status status = argument_steps(argument->through, &argument->steps, &wrong);
	if (status != STATUS_OK) {
		return status == STATUS_NO_MEMORY
			       ? session_refuse_error(session, &wrong)
			       : session_usage(session, "--through %s", wrong.text);
	}
	argument->query.through = argument->steps.steps;
	argument->query.through_count = argument->steps.count;
	return EXIT_DONE;
}

static int read_metric(const struct session *session, struct search_argument *argument)
{
	if (argument->metric == NULL) {
		return EXIT_DONE;
	}
	argument->of = (enum rep_metric)metric_of_name(argument->metric, strlen(argument->metric));
	return argument->of != 0 ? EXIT_DONE
				 : session_usage(session, "--metric: '%s', one of %s",
					   argument->metric, metric_names_text);
}

static int read_missing(const struct session *session, struct search_argument *argument)
{
	if (argument->missing == NULL || strcmp(argument->missing, "refuse") == 0) {
		return EXIT_DONE;
	}
	if (strcmp(argument->missing, "default") != 0) {
		return session_usage(session, "--missing: '%s', refuse or default",
			argument->missing);
	}
	argument->query.missing = REP_MISSING_DEFAULT;
	return EXIT_DONE;
}

/* Reads the key, whose type the query's table tells. */
static int read_key(struct session *session, struct search_argument *argument, char *key)
{
	struct rep_error err;
	struct rep_table users;
	if (rep_table_show(session->client, argument->release, argument->table, &users, &err) !=
			REP_OK ||
		rep_table_show(session->client, argument->release, argument->in, &argument->items,
			&err) != REP_OK) {
		return session_refuse(session, &err);
	}
	const struct rest keys = {.count = 1, .values = &key};
	const int status = key_argument_pack(session, users.spec.key_type, &keys, &argument->keys);
	argument->query.table = argument->table;
	argument->query.keys =
		(struct rep_keys){users.spec.key_type, 1, argument->keys.data, argument->keys.len};
	return status;
}

/* Cuts TABLE/KEY, perhaps behind `RELEASE/`; a key may have slashes, so only the release that is asked
 * is taken for one. Returns the key; NULL: it is none. */
static char *cut_from(struct search_argument *argument)
{
	char *from = (char *)argument->from;
	const size_t release_len = strlen(argument->place.release);
	if (strncmp(from, argument->place.release, release_len) == 0 && from[release_len] == '/' &&
		strchr(from + release_len + 1, '/') != NULL) {
		from += release_len + 1;
	}
	char *slash = strchr(from, '/');
	if (slash == NULL || slash == from || slash[1] == '\0' ||
		(size_t)(slash - from) >= sizeof argument->table) {
		return NULL;
	}
	memcpy(argument->table, from, (size_t)(slash - from));
	return slash + 1;
}

int search_argument_read(struct session *session, struct search_argument *argument)
{
	if (argument->from == NULL || argument->in == NULL) {
		return session_usage(session, "%s: --from TABLE/KEY and --in TABLE are needed",
			session->command->name);
	}
	const int read =
		table_argument_read(session, argument->in, argument->release, &argument->place);
	if (read != EXIT_DONE) {
		return read;
	}
	char *key = cut_from(argument);
	if (key == NULL) {
		return session_usage(session, "--from: '%s', TABLE/KEY or RELEASE/TABLE/KEY",
			argument->from);
	}
	argument->in = argument->place.table;
	argument->release = argument->place.release;
	int status = read_metric(session, argument);
	if (status == EXIT_DONE) {
		status = read_steps(session, argument);
	}
	if (status == EXIT_DONE) {
		status = read_missing(session, argument);
	}
	if (status == EXIT_DONE && !session_connect(session)) {
		status = EXIT_REFUSED;
	}
	return status == EXIT_DONE ? read_key(session, argument, key) : status;
}

void search_argument_fini(struct search_argument *argument)
{
	steps_argument_fini(&argument->steps);
	buffer_fini(&argument->keys);
}

/* ---- keys that were found ---- */

static const uint8_t *key_at(const struct rep_keys *keys, uint32_t i, size_t *len)
{
	const uint8_t *key = keys->data;
	if (keys->type == REP_KEY_U64) {
		*len = 8;
		return key + (size_t)i * 8;
	}
	for (; i > 0; i--) {
		key += 1 + key[0];
	}
	*len = key[0];
	return key + 1;
}

static uint64_t number_of(const uint8_t *key)
{
	uint64_t number;
	memcpy(&number, key, sizeof number);
	return number;
}

const char *search_key_text(const struct rep_keys *keys, uint32_t i, char text[SEARCH_KEY_BYTES])
{
	size_t len;
	const uint8_t *key = key_at(keys, i, &len);
	if (keys->type == REP_KEY_U64) {
		(void)snprintf(text, SEARCH_KEY_BYTES, "%" PRIu64, number_of(key));
		return text;
	}
	return key_argument_text(key, len, text);
}

void search_key_json(const struct rep_keys *keys, uint32_t i, struct json_writer *json)
{
	size_t len;
	const uint8_t *key = key_at(keys, i, &len);
	if (keys->type == REP_KEY_U64) {
		json_write_u64(json, "key", number_of(key));
	} else if (json_is_utf8(key, len)) {
		json_write_string(json, "key", key, len);
	} else {
		json_write_object(json, "key");
		json_write_hex(json, "hex", key, len);
		json_write_object_end(json);
	}
}
