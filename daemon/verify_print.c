/* verify_print.c - prints what a verification of a folder finds. */
#include "daemon/verify_print.h"

#include "daemon/process.h"
#include "daemon/store/verify/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PRINTED_KEYS = 100 };

static void print_keys(const struct verify_keys *keys)
{
	const uint8_t *at = keys->packed;
	(void)fputs("  keys:", stdout);
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->type == KEY_U64) {
			uint64_t number;
			memcpy(&number, at, sizeof number);
			(void)printf(" %" PRIu64, number);
			at += sizeof number;
		} else {
			char quote[ERROR_QUOTE_BYTES];
			(void)printf(" '%s'", error_quote(quote, at + 1, at[0]));
			at += 1 + at[0];
		}
	}
	if (keys->known > keys->count) {
		(void)printf(" and %" PRIu64 " more", keys->known - keys->count);
	}
	(void)putchar('\n');
}

static void print_damage(void *arg, const struct verify_damage *damage)
{
	(void)arg;
	(void)printf("%s: ", damage->file);
	if (damage->table != NULL) {
		(void)printf("'%s' of release '%s': ", damage->table, damage->release);
	}
	if (damage->has_segment) {
		(void)printf("segment %zu of %" PRIu64 " rows: ", damage->segment, damage->rows);
	}
	(void)printf("%s\n", damage->what);
	if (damage->keys != NULL) {
		print_keys(damage->keys);
	} else if (damage->has_segment) {
		(void)puts("  which keys these are cannot be told");
	}
}

int verify_print(const char *folder)
{
	const struct verify_wish wish = {.found = print_damage, .keys = PRINTED_KEYS};
	struct verify_result result;
	struct error err;
	if (verify_folder(folder, &wish, &result, &err) != STATUS_OK) {
		(void)fprintf(stderr, "repstored: %s\n", err.text);
		return PROCESS_FAILED;
	}
	(void)printf("%" PRIu64 " files, %" PRIu64 " bytes: %" PRIu64 " damaged\n", result.files,
		result.bytes, result.damaged);
	return result.damaged == 0 && fflush(stdout) == 0 ? PROCESS_DONE : PROCESS_FAILED;
}
