/* slow_subject.c - reads what a request was about from its bytes, and makes a peer's text printable. */
#include "daemon/method/call/slow_subject.h"

#include "daemon/method/call/service.h"
#include "daemon/store/state/reader.h"
#include "schema/rpc_head.h"

#include <string.h>

void slow_text(char *out, size_t cap, struct wire_bytes text)
{
	static const char digits[] = "0123456789abcdef";
	enum { ESCAPED_BYTES = 4 };
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		const uint8_t byte = text.data[i];
		const bool is_plain =
			byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\' && byte != '\'';
		if (len + (is_plain ? 1 : ESCAPED_BYTES) >= cap) {
			break;
		}
		if (is_plain) {
			out[len++] = (char)byte;
			continue;
		}
		out[len++] = '\\';
		out[len++] = 'x';
		out[len++] = digits[byte >> 4];
		out[len++] = digits[byte & 15];
	}
	out[len] = '\0';
}

static void write_tables(struct slow_entry *entry, const struct rpc_subject *subject)
{
	size_t len = 0;
	entry->tables[0] = '\0';
	for (uint32_t i = 0; i < subject->table_count && i < RPC_SUBJECT_TABLES; i++) {
		char name[LIMIT_TABLE_NAME_BYTES + 1];
		slow_text(name, sizeof name, subject->tables[i]);
		const size_t more = strlen(name) + (len > 0);
		if (len + more >= sizeof entry->tables) {
			break;
		}
		memcpy(entry->tables + len, ",", len > 0 ? 1 : 0);
		memcpy(entry->tables + len + (len > 0), name, strlen(name) + 1);
		len += more;
	}
	entry->table_count = subject->table_count;
}

/* The release that was meant, and of which type the keys of the first table are. */
static void look_up(struct slow_entry *entry, struct service *service,
	const struct rpc_subject *subject)
{
	char first[LIMIT_TABLE_NAME_BYTES + 1];
	const struct release *release;
	const struct table *table;
	const bool is_live = entry->release[0] == '\0' || strcmp(entry->release, "live") == 0;
	slow_text(first, sizeof first, subject->tables[0]);
	entry->keys = subject->keys_if_u64;
	if (subject->table_count == 0 && subject->layer.data == NULL) {
		return;
	}
	const struct snapshot *snapshot = snapshot_begin(service->store);
	if (snapshot_release(snapshot, is_live ? NULL : entry->release, &release, NULL) ==
		STATUS_OK) {
		memcpy(entry->release, release->id.text, strlen(release->id.text) + 1);
		if (subject->table_count > 0 &&
			release_table(release, first, &table, NULL) == STATUS_OK &&
			table->spec.key_type == KEY_BYTES) {
			entry->keys = subject->keys_if_bytes;
		}
	}
	snapshot_end(service->store);
}

void slow_subject_read(struct slow_entry *entry, struct service *service, struct wire_bytes message)
{
	struct rpc_subject subject;
	rpc_subject_read(message.data, message.len, &subject);
	slow_text(entry->release, sizeof entry->release, subject.release);
	slow_text(entry->layer, sizeof entry->layer, subject.layer);
	slow_text(entry->trace, sizeof entry->trace, subject.trace);
	write_tables(entry, &subject);
	look_up(entry, service, &subject);
}

void slow_client_read(char out[LIMIT_CLIENT_BYTES + 1], struct wire_bytes message)
{
	struct rpc_subject subject;
	rpc_subject_read(message.data, message.len, &subject);
	if (subject.client.data != NULL) {
		slow_text(out, LIMIT_CLIENT_BYTES + 1, subject.client);
	}
}
