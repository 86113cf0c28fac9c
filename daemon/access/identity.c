/* identity.c - asks the kernel who a peer is, keeps the names of certificates, and writes both for people. */
#include "daemon/access/identity.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	IDENTITY_GROUPS_FIRST = 32,
	IDENTITY_GROUPS_MAX = 65536, /* NGROUPS_MAX of Linux */
	IDENTITY_ESCAPE_BYTES = 4,   /* \xNN */
};

static_assert(sizeof(gid_t) == sizeof(uint32_t), "SO_PEERGROUPS fills an array of uint32_t");

/* Asks for the supplementary groups with room for `count`. On ERANGE *count is how many there are. */
static enum status ask_groups(int fd, size_t *count, uint32_t **out)
{
	socklen_t bytes = (socklen_t)(*count * sizeof(uint32_t));
	uint32_t *groups = malloc(bytes);
	if (groups == NULL) {
		return STATUS_NO_MEMORY;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) == 0) {
		*count = bytes / sizeof(uint32_t);
		*out = groups;
		return STATUS_OK;
	}
	const bool is_short = errno == ERANGE && bytes > *count * sizeof(uint32_t);
	*count = bytes / sizeof(uint32_t);
	free(groups);
	return is_short ? STATUS_AGAIN : STATUS_IO;
}

enum status identity_of_socket(int fd, struct peer_identity *out)
{
	struct ucred peer = {.uid = (uid_t)-1, .gid = (gid_t)-1};
	socklen_t len = sizeof peer;
	*out = (struct peer_identity){.kind = IDENTITY_STRANGER};
	/* A socket of another family has no such option, or one without a user. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof peer ||
		peer.uid == (uid_t)-1) {
		return STATUS_IO;
	}
	size_t count = IDENTITY_GROUPS_FIRST;
	uint32_t *groups = NULL;
	enum status status = ask_groups(fd, &count, &groups);
	/* They are those of the moment of its connect, so they are as many the second time. */
	if (status == STATUS_AGAIN && count <= IDENTITY_GROUPS_MAX) {
		status = ask_groups(fd, &count, &groups);
	}
	if (status != STATUS_OK) {
		return status == STATUS_NO_MEMORY ? status : STATUS_IO;
	}
	*out = (struct peer_identity){
		.kind = IDENTITY_UNIX,
		.uid = peer.uid,
		.gid = peer.gid,
		.groups = groups,
		.group_count = count,
	};
	return STATUS_OK;
}

enum status identity_add_name(struct peer_identity *identity, enum identity_name_kind kind,
	const void *text, size_t len)
{
	assert(identity->kind == IDENTITY_CERTIFICATE);
	if (len == 0 || len > IDENTITY_NAME_BYTES || memchr(text, '\0', len) != NULL ||
		identity->name_count == IDENTITY_NAMES_MAX) {
		return STATUS_OK;
	}
	struct identity_name *names =
		realloc(identity->names, (identity->name_count + 1) * sizeof *names);
	if (names == NULL) {
		return STATUS_NO_MEMORY;
	}
	identity->names = names;
	char *copy = malloc(len + 1);
	if (copy == NULL) {
		return STATUS_NO_MEMORY;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	size_t at = identity->name_count++;
	for (; at > 0 && names[at - 1].kind > kind; at--) {
		names[at] = names[at - 1];
	}
	names[at] = (struct identity_name){.kind = kind, .text = copy};
	return STATUS_OK;
}

const char *identity_name_kind(enum identity_name_kind kind)
{
	switch (kind) {
	case IDENTITY_URI:
		return "URI";
	case IDENTITY_DNS:
		return "DNS";
	case IDENTITY_CN:
		break;
	}
	return "CN";
}

static bool is_plain(uint8_t byte)
{
	return byte > ' ' && byte <= '~' && byte != '"' && byte != '\'' && byte != '\\';
}

const char *identity_escape(char *out, size_t size, const void *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	static const char dots[] = "...";
	const uint8_t *bytes = text;
	size_t at = 0;
	assert(size >= sizeof dots + IDENTITY_ESCAPE_BYTES);
	for (size_t i = 0; i < len; i++) {
		if (at + IDENTITY_ESCAPE_BYTES + sizeof dots > size) {
			memcpy(out + at, dots, sizeof dots);
			return out;
		}
		if (is_plain(bytes[i])) {
			out[at++] = (char)bytes[i];
		} else {
			out[at++] = '\\';
			out[at++] = 'x';
			out[at++] = digits[bytes[i] >> 4];
			out[at++] = digits[bytes[i] & 15u];
		}
	}
	out[at] = '\0';
	return out;
}

const char *identity_text(char out[IDENTITY_TEXT_BYTES], const struct peer_identity *identity)
{
	const struct identity_name *name = identity->names;
	int len = 0;
	switch (identity->kind) {
	case IDENTITY_UNIX:
		(void)snprintf(out, IDENTITY_TEXT_BYTES, "uid:%u", identity->uid);
		return out;
	case IDENTITY_LOOPBACK:
		(void)snprintf(out, IDENTITY_TEXT_BYTES, "tcp:loopback");
		return out;
	case IDENTITY_CERTIFICATE:
		if (identity->name_count == 0) {
			(void)snprintf(out, IDENTITY_TEXT_BYTES, "cert:unnamed");
			return out;
		}
		len = snprintf(out, IDENTITY_TEXT_BYTES,
			"cert:%s=", identity_name_kind(name->kind));
		assert(len > 0);
		(void)identity_escape(out + len, IDENTITY_TEXT_BYTES - (size_t)len, name->text,
			strlen(name->text));
		return out;
	case IDENTITY_STRANGER:
		break;
	}
	(void)snprintf(out, IDENTITY_TEXT_BYTES, "unknown");
	return out;
}

void identity_fini(struct peer_identity *identity)
{
	for (size_t i = 0; i < identity->name_count; i++) {
		free(identity->names[i].text);
	}
	free(identity->names);
	free(identity->groups);
	*identity = (struct peer_identity){.kind = IDENTITY_STRANGER};
}
