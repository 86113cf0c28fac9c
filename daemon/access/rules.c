/* rules.c - reads entries of the section [access], and finds those that speak of a peer. */
#include "daemon/access/rules.h"

#include "daemon/access/names.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

static const char blanks[] = " \t";

void access_rules_init(struct access_rules *rules)
{
	*rules = (struct access_rules){.own_uid = geteuid()};
}

/* ---- reading ---- */

static enum status refuse(const char *text, const char *why, struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	return error_set(err, STATUS_BAD_REQUEST, "'%s': %s",
		error_quote(quoted, text, strlen(text)), why);
}

/* Moves *text behind `word` if it begins with that. */
static bool take_word(const char **text, const char *word)
{
	const size_t len = strlen(word);
	if (strncmp(*text, word, len) != 0) {
		return false;
	}
	*text += len;
	return true;
}

static enum status read_number(struct access_entry *entry, const char *name, struct error *err)
{
	struct error why;
	const bool is_user = entry->kind == ACCESS_USER;
	enum status status = is_user ? names_user(name, &entry->number, &why)
				     : names_group(name, &entry->number, &why);
	if (status != STATUS_OK) {
		return error_set(err, status == STATUS_NOT_FOUND ? STATUS_BAD_REQUEST : status,
			"'%s': %s", entry->text, why.text);
	}
	if (entry->number == IDENTITY_UNMAPPED || entry->number == UINT32_MAX) {
		return refuse(entry->text,
			"this number is that of everybody whom the kernel cannot name; give "
			"another user or group",
			err);
	}
	return STATUS_OK;
}

static enum status read_pattern(struct access_entry *entry, const char *at, struct error *err)
{
	if (take_word(&at, "URI=")) {
		entry->name_kind = IDENTITY_URI;
	} else if (take_word(&at, "DNS=")) {
		entry->name_kind = IDENTITY_DNS;
	} else if (take_word(&at, "CN=")) {
		entry->name_kind = IDENTITY_CN;
	} else {
		return refuse(entry->text,
			"cert:URI=PATTERN, cert:DNS=PATTERN or cert:CN=PATTERN is allowed", err);
	}
	if (*at == '\0') {
		return refuse(entry->text, "the pattern is empty", err);
	}
	entry->pattern_at = (uint16_t)(at - entry->text);
	return STATUS_OK;
}

static enum status read_entry(struct access_entry *entry, struct error *err)
{
	const char *at = entry->text;
	if (take_word(&at, "user:")) {
		entry->kind = ACCESS_USER;
		return read_number(entry, at, err);
	}
	if (take_word(&at, "group:")) {
		entry->kind = ACCESS_GROUP;
		return read_number(entry, at, err);
	}
	if (take_word(&at, "cert:")) {
		entry->kind = ACCESS_CERTIFICATE;
		return read_pattern(entry, at, err);
	}
	if (strcmp(at, "tcp:loopback") == 0) {
		entry->kind = ACCESS_LOOPBACK;
		return STATUS_OK;
	}
	return refuse(entry->text,
		"user:NAME, group:NAME, cert:KIND=PATTERN or tcp:loopback is allowed", err);
}

/* Reads the entry that has `len` bytes at `text`, and adds it. */
static enum status add(struct access_rules *rules, enum role role, const char *text, size_t len,
	struct error *err)
{
	if (rules->count == ACCESS_ENTRIES_MAX) {
		return error_set(err, STATUS_BAD_REQUEST,
			"more than %d entries of all roles together", ACCESS_ENTRIES_MAX);
	}
	if (len >= ACCESS_ENTRY_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"an entry of %zu bytes is given, %d are allowed", len,
			ACCESS_ENTRY_BYTES - 1);
	}
	struct access_entry *entry = &rules->entries[rules->count];
	*entry = (struct access_entry){.role = role};
	memcpy(entry->text, text, len);
	enum status status = read_entry(entry, err);
	if (status == STATUS_OK) {
		rules->count++;
	}
	return status;
}

enum status access_rules_add(struct access_rules *rules, enum role role, const char *list,
	struct error *err)
{
	const unsigned before = rules->count;
	enum status status = STATUS_OK;
	assert(role_contained(role) != ROLE_ANYBODY);
	list += strspn(list, blanks);
	while (status == STATUS_OK && *list != '\0') {
		const size_t len = strcspn(list, blanks);
		status = add(rules, role, list, len, err);
		list += len;
		list += strspn(list, blanks);
	}
	if (status != STATUS_OK) {
		memset(&rules->entries[before], 0,
			(ACCESS_ENTRIES_MAX - before) * sizeof rules->entries[0]);
		rules->count = before;
	}
	return status;
}

enum status access_identity_of(const char *text, struct peer_identity *out, struct error *err)
{
	struct error why;
	const char *at = text;
	*out = (struct peer_identity){.kind = IDENTITY_STRANGER};
	if (take_word(&at, "user:")) {
		enum status status = names_login(at, out, &why);
		return status == STATUS_OK ? status : refuse(text, why.text, err);
	}
	if (strcmp(text, "tcp:loopback") == 0) {
		out->kind = IDENTITY_LOOPBACK;
		return STATUS_OK;
	}
	struct access_entry entry = {.kind = ACCESS_CERTIFICATE};
	const size_t len = strlen(text);
	if (!take_word(&at, "cert:") || len >= sizeof entry.text) {
		return refuse(text, "user:NAME, cert:KIND=NAME or tcp:loopback is allowed", err);
	}
	memcpy(entry.text, text, len + 1);
	enum status status = read_pattern(&entry, entry.text + strlen("cert:"), err);
	if (status == STATUS_OK) {
		out->kind = IDENTITY_CERTIFICATE;
		const char *name = entry.text + entry.pattern_at;
		status = identity_add_name(out, entry.name_kind, name, strlen(name));
	}
	return status;
}

void access_rules_forget(struct access_rules *rules, enum role role)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < rules->count; i++) {
		if (rules->entries[i].role != role) {
			rules->entries[kept++] = rules->entries[i];
		}
	}
	memset(&rules->entries[kept], 0, (rules->count - kept) * sizeof rules->entries[0]);
	rules->count = kept;
}

bool access_rules_lack(const struct access_rules *rules, const struct access_entry *entry)
{
	bool lacks = true;
	for (unsigned i = 0; i < rules->count && lacks; i++) {
		const struct access_entry *each = &rules->entries[i];
		lacks = each->role != entry->role || each->number != entry->number ||
			strcmp(each->text, entry->text) != 0;
	}
	return lacks;
}

/* Are all entries of the role that `one` has in the other? */
static bool has_all(const struct access_rules *rules, const struct access_rules *one,
	enum role role)
{
	bool has = true;
	for (unsigned i = 0; i < one->count && has; i++) {
		has = one->entries[i].role != role || !access_rules_lack(rules, &one->entries[i]);
	}
	return has;
}

bool access_rules_are_same(const struct access_rules *one, const struct access_rules *other,
	enum role role)
{
	return has_all(one, other, role) && has_all(other, one, role);
}

/* ---- whom an entry speaks of ---- */

static char lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

bool access_pattern_fits(const char *pattern, enum identity_name_kind kind, const char *text)
{
	const char barrier = kind == IDENTITY_DNS ? '.' : '/';
	const bool has_barrier = kind != IDENTITY_CN;
	const char *star = NULL;  /* behind the last `*` that was met */
	const char *tried = NULL; /* as much of the text as it stands for is before this */
	while (*text != '\0') {
		const bool is_barred = has_barrier && *text == barrier;
		const bool is_same = *pattern == *text ||
				     (kind == IDENTITY_DNS && lower(*pattern) == lower(*text));
		if (*pattern == '*') {
			star = ++pattern;
			tried = text;
		} else if (*pattern != '\0' && (is_same || (*pattern == '?' && !is_barred))) {
			pattern++;
			text++;
		} else if (star != NULL && !(has_barrier && *tried == barrier)) {
			/* The last `*` takes one byte more. An earlier one need not: it could only take what
			 * the last one takes as well. */
			text = ++tried;
			pattern = star;
		} else {
			return false;
		}
	}
	pattern += strspn(pattern, "*");
	return *pattern == '\0';
}

static bool is_in_group(const struct peer_identity *peer, uint32_t gid)
{
	bool is_in = peer->gid == gid;
	for (size_t i = 0; i < peer->group_count && !is_in; i++) {
		is_in = peer->groups[i] == gid;
	}
	return is_in;
}

static bool has_name(const struct peer_identity *peer, const struct access_entry *entry)
{
	for (size_t i = 0; i < peer->name_count; i++) {
		const struct identity_name *name = &peer->names[i];
		if (name->kind == entry->name_kind &&
			access_pattern_fits(entry->text + entry->pattern_at, name->kind,
				name->text)) {
			return true;
		}
	}
	return false;
}

/* The kernel, or a map of another user namespace, says this number of many. */
static bool is_nobody(const struct peer_identity *peer)
{
	return peer->uid == IDENTITY_UNMAPPED || peer->uid == UINT32_MAX;
}

bool access_entry_is_of(const struct access_entry *entry, const struct peer_identity *peer)
{
	const bool is_user = peer->kind == IDENTITY_UNIX && !is_nobody(peer);
	switch (entry->kind) {
	case ACCESS_USER:
		return is_user && peer->uid == entry->number;
	case ACCESS_GROUP:
		return is_user && is_in_group(peer, entry->number);
	case ACCESS_CERTIFICATE:
		return peer->kind == IDENTITY_CERTIFICATE && has_name(peer, entry);
	case ACCESS_LOOPBACK:
		break;
	}
	return peer->kind == IDENTITY_LOOPBACK;
}

bool access_is_own(const struct access_rules *rules, const struct peer_identity *peer)
{
	return peer->kind == IDENTITY_UNIX && !is_nobody(peer) &&
	       (peer->uid == 0 || peer->uid == rules->own_uid);
}

unsigned access_roles(const struct access_rules *rules, const struct peer_identity *peer)
{
	unsigned roles = ROLE_ANYBODY;
	if (access_is_own(rules, peer)) {
		roles |= role_contained(ROLE_ADMIN);
	}
	for (unsigned i = 0; i < rules->count; i++) {
		const struct access_entry *entry = &rules->entries[i];
		if (access_entry_is_of(entry, peer)) {
			roles |= role_contained(entry->role);
		}
	}
	return roles;
}
