/* upgrade_print.c - prints what an upgrade of a folder has done. */
#include "daemon/upgrade_print.h"

#include "daemon/journal.h"
#include "daemon/process.h"
#include "daemon/store/upgrade/upgrade.h"

#include <inttypes.h>
#include <stdio.h>

static void on_event(void *arg, const char *line)
{
	(void)arg;
	journal_event(JOURNAL_INFO, "%s", line);
}

int upgrade_print(const char *folder)
{
	const struct upgrade_wish wish = {.on_event = on_event};
	struct upgrade_result result;
	struct error err;
	if (upgrade_folder(folder, &wish, &result, &err) != STATUS_OK) {
		(void)fprintf(stderr, "repstored: %s\n", err.text);
		return PROCESS_FAILED;
	}
	if (result.is_of_today) {
		(void)printf("'%s' is of today's formats already\n", folder);
	} else {
		(void)printf("upgraded: %" PRIu64 " releases, %" PRIu64 " tables, %" PRIu64
			     " rows in %" PRIu64 " bytes, %" PRIu64 " writes in the log\n",
			result.releases, result.tables, result.rows, result.bytes, result.writes);
	}
	return fflush(stdout) == 0 ? PROCESS_DONE : PROCESS_FAILED;
}
