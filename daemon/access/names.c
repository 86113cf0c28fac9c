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

/* Who asks for one entry: of a user into `user`, or of a group into `group`. */
struct question_of_name {
	const char *name;
	bool is_group;
	struct passwd user;
	struct group group;
	char *buffer; /* owned: the texts of the entry */
};

/* 0, or an error number. *found: whether there is one of that name. */
static int ask_with(struct question_of_name *question, size_t size, bool *found)
{
	struct passwd *user = NULL;
	struct group *group = NULL;
	const int failed = question->is_group ? getgrnam_r(question->name, &question->group,
							question->buffer, size, &group)
					      : getpwnam_r(question->name, &question->user,
							question->buffer, size, &user);
	*found = user != NULL || group != NULL;
	return failed;
}

static enum status ask(struct question_of_name *question, struct error *err)
{
	const char *what = question->is_group ? "group" : "user";
	int failed = ERANGE;
	bool found = false;
	for (size_t size = NAMES_BUFFER_BYTES; failed == ERANGE && size <= NAMES_BUFFER_MAX;
		size *= 2) {
		free(question->buffer);
		question->buffer = malloc(size);
		failed = question->buffer != NULL ? ask_with(question, size, &found) : ENOMEM;
	}
	if (found) {
		return STATUS_OK;
	}
	char quoted[ERROR_QUOTE_BYTES];
	error_quote(quoted, question->name, strlen(question->name));
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
	if (read_number(name, out)) {
		return STATUS_OK;
	}
	struct question_of_name question = {.name = name, .is_group = is_group};
	enum status status = ask(&question, err);
	if (status == STATUS_OK) {
		*out = is_group ? question.group.gr_gid : question.user.pw_uid;
	}
	free(question.buffer);
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

/* The groups of a user of the database. */
static enum status find_groups(const struct passwd *user, struct peer_identity *identity)
{
	int count = 64;
	int room = 0;
	uint32_t *groups = NULL;
	do {
		room = count;
		free(groups);
		groups = malloc((size_t)room * sizeof *groups);
		if (groups == NULL) {
			return STATUS_NO_MEMORY;
		}
	} while (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0 && count > room &&
		 count <= NAMES_GROUPS_MAX);
	identity->groups = groups;
	identity->group_count = (size_t)(count < room ? count : room);
	return STATUS_OK;
}

enum status names_login(const char *name, struct peer_identity *out, struct error *err)
{
	uint32_t uid = 0;
	*out = (struct peer_identity){.kind = IDENTITY_STRANGER};
	if (read_number(name, &uid)) {
		char buffer[NAMES_BUFFER_BYTES];
		struct passwd user;
		struct passwd *found = NULL;
		(void)getpwuid_r(uid, &user, buffer, sizeof buffer, &found);
		*out = (struct peer_identity){
			.kind = IDENTITY_UNIX,
			.uid = uid,
			.gid = found != NULL ? user.pw_gid : IDENTITY_UNMAPPED,
		};
		return found == NULL || find_groups(&user, out) == STATUS_OK
			       ? STATUS_OK
			       : error_set(err, STATUS_NO_MEMORY, "no memory for groups");
	}
	struct question_of_name question = {.name = name};
	enum status status = ask(&question, err);
	if (status == STATUS_OK) {
		*out = (struct peer_identity){
			.kind = IDENTITY_UNIX,
			.uid = question.user.pw_uid,
			.gid = question.user.pw_gid,
		};
		if (find_groups(&question.user, out) != STATUS_OK) {
			status = error_set(err, STATUS_NO_MEMORY, "no memory for groups");
		}
	}
	free(question.buffer);
	return status;
}
