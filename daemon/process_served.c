/* process_served.c - turns settings into the options of the log of served rows. */
#include "daemon/process_served.h"

#include "daemon/journal.h"

#include <stddef.h>

enum { KEPT_OUT = 3 };

/* The folders that it must stay out of. */
static void keep_out(const struct settings *settings, const char *out[KEPT_OUT])
{
	out[0] = settings->data;
	out[1] = settings->backup_folder;
	out[2] = NULL;
}

struct served_limits process_served_limits(const struct settings *settings)
{
	return (struct served_limits){
		.rate_ppm = settings->served_rate_ppm,
		.rows = settings->served_rows,
		.bytes = settings->served_bytes,
		.byte_rate = settings->served_byte_rate,
	};
}

enum status process_served_open(const struct settings *settings, struct served **out,
	struct error *err)
{
	const char *kept_out[KEPT_OUT];
	keep_out(settings, kept_out);
	const struct served_options options = {
		.file = settings->served_file,
		.kept_out = kept_out,
		.limits = process_served_limits(settings),
		.on_event = journal_tell,
	};
	return settings->served_file[0] == '\0' ? STATUS_OK : served_open(&options, out, err);
}

enum status process_served_check(const struct settings *settings, struct error *err)
{
	const char *kept_out[KEPT_OUT];
	keep_out(settings, kept_out);
	return settings->served_file[0] == '\0'
		       ? STATUS_OK
		       : served_check(settings->served_file, kept_out, err);
}
