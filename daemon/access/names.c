/* names.c - asks the database of users and groups. */
#include "daemon/access/names.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NAMES_BUFFER_BYTES = 1024,
	NAMES_BUFFER_MAX = 16 << 20, /* a group may have very many members */
	NAMES_LOGIN_BYTES = 16 << 10,
	NAMES_GROUPS_FIRST = 64,
	NAMES_GROUPS_MAX = 65536,
	NAMES_DIGITS_MAX = 10,
};

/* A decimal number without a sign. */
static bool read_number(const char *text, uint32_t *out)
{
	const size_t len = strlen(text);
	if (len == 0 || len > NAMES_DIGITS_MAX || strspn(text, "0123456789") != len) {
		return false;
	}
	const unsigned long long number = strtoull(text, NULL, 10);
	if (number > UINT32_MAX) {
		return false;
	}
	*out = (uint32_t)number;
	return true;
}

/* What an entry of the database says. */
struct entry {
	uint32_t uid; /* of a user */
	uint32_t gid; /* of a user or of a group */
};

/* Asks with a buffer for the texts of the entry. 0, or an error number. *found: whether there is one of that name. */
static int ask_with(const char *name, bool is_group, size_t size, struct entry *out, bool *found)
{
	struct passwd user;
	struct group group;
	struct passwd *of_user = NULL;
	struct group *of_group = NULL;
	char *buffer = malloc(size);
	if (buffer == NULL) {
		return ENOMEM;
	}
	const int failed = is_group ? getgrnam_r(name, &group, buffer, size, &of_group)
				    : getpwnam_r(name, &user, buffer, size, &of_user);
	if (of_user != NULL) {
		*out = (struct entry){.uid = of_user->pw_uid, .gid = of_user->pw_gid};
	} else if (of_group != NULL) {
		*out = (struct entry){.gid = of_group->gr_gid};
	}
	*found = of_user != NULL || of_group != NULL;
	free(buffer);
	return failed;
}

static enum status ask(const char *name, bool is_group, struct entry *out, struct error *err)
{
	const char *what = is_group ? "group" : "user";
	int failed = ERANGE;
	bool found = false;
	for (size_t size = NAMES_BUFFER_BYTES; failed == ERANGE && size <= NAMES_BUFFER_MAX;
		size *= 2) {
		failed = ask_with(name, is_group, size, out, &found);
	}
	if (found) {
		return STATUS_OK;
	}
	char quoted[ERROR_QUOTE_BYTES];
	error_quote(quoted, name, strlen(name));
	/* getpwnam_r(3): several numbers mean that there is none of that name. */
	if (failed == 0 || failed == ENOENT || failed == ESRCH || failed == EBADF ||
		failed == EPERM) {
		return error_set(err, STATUS_NOT_FOUND,
			"there is no %s '%s' on this machine; a name or a number is allowed", what,
			quoted);
	}
	return error_set(err, failed == ENOMEM ? STATUS_NO_MEMORY : STATUS_IO,
		"%s '%s' could not be looked up: %s", what, quoted, strerror(failed));
}

static enum status find(const char *name, bool is_group, uint32_t *out, struct error *err)
{
	struct entry entry;
	if (read_number(name, out)) {
		return STATUS_OK;
	}
	enum status status = ask(name, is_group, &entry, err);
	if (status == STATUS_OK) {
		*out = is_group ? entry.gid : entry.uid;
	}
	return status;
}

enum status names_user(const char *name, uint32_t *uid, struct error *err)
{
	return find(name, false, uid, err);
}

enum status names_group(const char *name, uint32_t *gid, struct error *err)
{
	return find(name, true, gid, err);
}

/* Adds the groups of a user of the database. */
static enum status add_groups(const char *name, struct peer_identity *identity, struct error *err)
{
	int count = NAMES_GROUPS_FIRST;
	int room = 0;
	uint32_t *groups = NULL;
	do {
		room = count;
		free(groups);
		groups = malloc((size_t)room * sizeof *groups);
		if (groups == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for groups");
		}
	} while (getgrouplist(name, identity->gid, groups, &count) < 0 && count > room &&
		 count <= NAMES_GROUPS_MAX);
	identity->groups = groups;
	identity->group_count = (size_t)(count < room ? count : room);
	return STATUS_OK;
}

enum status names_login(const char *name, struct peer_identity *out, struct error *err)
{
	struct entry entry = {0};
	struct passwd user;
	struct passwd *found = NULL;
	char buffer[NAMES_LOGIN_BYTES];
	*out = (struct peer_identity){.kind = IDENTITY_STRANGER};
	if (read_number(name, &entry.uid)) {
		(void)getpwuid_r(entry.uid, &user, buffer, sizeof buffer, &found);
		entry.gid = found != NULL ? found->pw_gid : IDENTITY_UNMAPPED;
		name = found != NULL ? found->pw_name : NULL;
	} else {
		enum status status = ask(name, false, &entry, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	*out = (struct peer_identity){.kind = IDENTITY_UNIX, .uid = entry.uid, .gid = entry.gid};
	return name != NULL ? add_groups(name, out, err) : STATUS_OK;
}
