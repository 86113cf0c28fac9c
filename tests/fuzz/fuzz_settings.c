/* fuzz_settings.c - any bytes as a settings file, and as a name of a certificate that its entries may speak of.
 *
 * The file ends at the first NUL; what is behind it is the name. A file is refused with its line and a reason, or
 * all settings are within their bounds, and nobody has a role whom no entry names.
 *
 * The users and groups are those of a machine of its own: to look one up on a real one opens files, and takes longer than
 * all else; and a finding is to be found on every machine. */
#include "daemon/settings.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char file_name[] = "FILE";

/* ---- the machine ---- */

/* 0: there is none of that name. */
static uint32_t number_of(const char *name)
{
	return strcmp(name, "ranker") == 0    ? 1001
	       : strcmp(name, "serving") == 0 ? 1002
	       : strcmp(name, "nobody") == 0  ? IDENTITY_UNMAPPED
					      : 0;
}

/* Some entries are long, and some cannot be read. */
static int reason_of(const char *name, size_t size)
{
	return name[0] == 'l' && size < 4096 ? ERANGE : name[0] == '!' ? EIO : 0;
}

int __wrap_getpwnam_r(const char *name, struct passwd *user, char *buffer, size_t size,
	struct passwd **found);
int __wrap_getpwnam_r(const char *name, struct passwd *user, char *buffer, size_t size,
	struct passwd **found)
{
	(void)buffer;
	*user = (struct passwd){.pw_uid = number_of(name), .pw_gid = number_of(name)};
	*found = number_of(name) != 0 ? user : NULL;
	return reason_of(name, size);
}

int __wrap_getgrnam_r(const char *name, struct group *group, char *buffer, size_t size,
	struct group **found);
int __wrap_getgrnam_r(const char *name, struct group *group, char *buffer, size_t size,
	struct group **found)
{
	(void)buffer;
	*group = (struct group){.gr_gid = number_of(name)};
	*found = number_of(name) != 0 ? group : NULL;
	return reason_of(name, size);
}

/* ---- the settings ---- */

static void require(bool is_so)
{
	if (!is_so) {
		abort();
	}
}

static void require_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		require(*text >= ' ' && *text <= '~');
	}
}

static enum status read_settings(const uint8_t *data, size_t len, struct settings *out,
	struct error *err)
{
	FILE *file = len > 0 ? fmemopen((void *)data, len, "r") : fopen("/dev/null", "re");
	require(file != NULL);
	settings_init(out);
	enum status status = settings_read_open(out, file, file_name, err);
	(void)fclose(file);
	return status;
}

static void check_bounds(const struct settings *settings)
{
	require(settings->listen_count >= 1 && settings->listen_count <= SETTINGS_LISTEN_MAX);
	for (unsigned i = 0; i < settings->listen_count; i++) {
		require(memchr(settings->listen[i], '\0', SETTINGS_TEXT_BYTES) != NULL);
	}
	require(memchr(settings->data, '\0', SETTINGS_TEXT_BYTES) != NULL);
	require(settings->workers >= 1 && settings->workers <= 256);
	require(settings->max_connections >= 1 && settings->max_connections <= 65536);
	require(settings->socket_mode <= 0777);
	require(settings->log_bytes >= 128 << 20);
	require(settings->access.count <= ACCESS_ENTRIES_MAX);
}

/* Whom nothing is given has nothing; the unmapped user never has. */
static void check_roles(const struct access_rules *rules, const uint8_t *name, size_t len)
{
	char text[IDENTITY_TEXT_BYTES];
	const struct peer_identity stranger = {.kind = IDENTITY_STRANGER};
	const struct peer_identity unmapped = {
		.kind = IDENTITY_UNIX,
		.uid = IDENTITY_UNMAPPED,
		.gid = 0,
	};
	const struct peer_identity root = {.kind = IDENTITY_UNIX};
	struct peer_identity named = {.kind = IDENTITY_CERTIFICATE};
	require(access_roles(rules, &stranger) == ROLE_ANYBODY);
	require(access_roles(rules, &unmapped) == ROLE_ANYBODY);
	require(access_roles(rules, &root) == role_contained(ROLE_ADMIN));
	for (unsigned kind = IDENTITY_URI; kind <= IDENTITY_CN; kind++) {
		(void)identity_add_name(&named, (enum identity_name_kind)kind, name, len);
	}
	const unsigned roles = access_roles(rules, &named);
	require_printable(identity_text(text, &named));
	bool is_named = false;
	for (unsigned i = 0; i < rules->count; i++) {
		const struct access_entry *entry = &rules->entries[i];
		const bool is_of = access_entry_is_of(entry, &named);
		is_named = is_named || is_of;
		require(!is_of || entry->kind == ACCESS_CERTIFICATE);
		require(!is_of || (roles & (unsigned)entry->role) != 0);
		require(!access_rules_lack(rules, entry));
		require(memchr(entry->text, '\0', sizeof entry->text) != NULL);
	}
	require(is_named || roles == ROLE_ANYBODY);
	identity_fini(&named);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct settings settings; /* too large for a stack */
	static struct settings others;
	struct settings_change changes[SETTINGS_CHANGES_MAX];
	struct error err = {.text = ""};
	const uint8_t *end = len > 0 ? memchr(data, '\0', len) : NULL;
	const size_t text_len = end != NULL ? (size_t)(end - data) : len;
	enum status status = read_settings(data, text_len, &settings, &err);
	if (status != STATUS_OK) {
		require(status == STATUS_BAD_REQUEST || status == STATUS_IO);
		require(strncmp(err.text, file_name, strlen(file_name)) == 0);
		require_printable(err.text);
		return 0;
	}
	check_bounds(&settings);
	check_roles(&settings.access, end != NULL ? end + 1 : data,
		end != NULL ? len - text_len - 1 : 0);
	/* Read twice it says the same; what a reload takes over is no difference any more. */
	require(read_settings(data, text_len, &others, &err) == STATUS_OK);
	require(settings_adopt(&others, &settings, changes) == 0);
	settings_init(&others);
	const unsigned differing = settings_adopt(&others, &settings, changes);
	unsigned kept = 0;
	for (unsigned i = 0; i < differing; i++) {
		kept += changes[i].taken ? 0 : 1;
	}
	require(settings_adopt(&others, &settings, changes) == kept);
	return 0;
}
