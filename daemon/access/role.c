/* role.c - the names of roles, and which contain which. */
#include "daemon/access/role.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct known_role {
	const char *name;
	enum role role;
	unsigned contained;
};

static const struct known_role known[ROLE_COUNT] = {
	{"none", ROLE_ANYBODY, ROLE_ANYBODY},
	{"read", ROLE_READ, ROLE_ANYBODY | ROLE_READ},
	{"write", ROLE_WRITE, ROLE_ANYBODY | ROLE_READ | ROLE_WRITE},
	{"publish", ROLE_PUBLISH, ROLE_ANYBODY | ROLE_READ | ROLE_PUBLISH},
	{"admin", ROLE_ADMIN, ROLE_ANYBODY | ROLE_READ | ROLE_WRITE | ROLE_PUBLISH | ROLE_ADMIN},
};

static const struct known_role *find(enum role role)
{
	unsigned i = 0;
	while (i < ROLE_COUNT - 1 && known[i].role != role) {
		i++;
	}
	assert(known[i].role == role);
	return &known[i];
}

const char *role_name(enum role role)
{
	return find(role)->name;
}

enum role role_at(unsigned i)
{
	assert(i < ROLE_COUNT);
	return known[i].role;
}

enum role role_of_name(const char *name, size_t len)
{
	for (unsigned i = 1; i < ROLE_COUNT; i++) {
		if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0) {
			return known[i].role;
		}
	}
	return (enum role)0;
}

unsigned role_contained(enum role role)
{
	return find(role)->contained;
}

const char *role_text(char out[ROLE_TEXT_BYTES], unsigned roles)
{
	size_t len = 0;
	out[0] = '\0';
	for (unsigned i = 1; i < ROLE_COUNT; i++) {
		if ((roles & (unsigned)known[i].role) != 0) {
			const int added = snprintf(out + len, ROLE_TEXT_BYTES - len, "%s%s",
				len > 0 ? " " : "", known[i].name);
			assert(added > 0);
			len += (size_t)added;
			assert(len < ROLE_TEXT_BYTES);
		}
	}
	if (len == 0) {
		(void)snprintf(out, ROLE_TEXT_BYTES, "%s", known[0].name);
	}
	return out;
}
