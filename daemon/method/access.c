/* access.c - whoami, access.check: who is a peer, what may it do, and which entry of the settings says so. */
#include "daemon/access/access.h"
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	GROUPS_SHOWN_MAX = 256,
	AS_BYTES = 256,
};

const char *const access_check_names[] = {"as", "method", NULL};

/* Which entries give the roles, as they stand in the settings. */
static void reply_by(struct wire_writer *out, struct access *access,
	const struct peer_identity *peer)
{
	struct access_entry entries[ACCESS_SHOWN_MAX];
	const unsigned count = access_entries(access, peer, entries);
	const bool is_own = access_is_owner(access, peer);
	wire_write_str(out, "by");
	wire_write_array(out, count + (is_own ? 1u : 0u));
	if (is_own) {
		wire_write_str(out, "admin: root, or the user whom the daemon runs as");
	}
	for (unsigned i = 0; i < count; i++) {
		char text[ACCESS_ENTRY_BYTES + 32];
		(void)snprintf(text, sizeof text, "%s = %s", role_name(entries[i].role),
			entries[i].text);
		reply_text_item(out, text);
	}
}

/* Its user and groups, or the names of its certificate. Returns the entries of the map; writes none if `out` is NULL. */
static size_t reply_identity(struct wire_writer *out, const struct peer_identity *peer)
{
	char text[IDENTITY_TEXT_BYTES];
	if (peer->kind == IDENTITY_CERTIFICATE && out != NULL) {
		wire_write_str(out, "names");
		wire_write_array(out, peer->name_count);
		for (size_t i = 0; i < peer->name_count; i++) {
			const struct peer_identity one = {
				.kind = IDENTITY_CERTIFICATE,
				.names = &peer->names[i],
				.name_count = 1,
			};
			wire_write_str(out, identity_text(text, &one));
		}
	}
	if (peer->kind == IDENTITY_UNIX && out != NULL) {
		const size_t shown =
			peer->group_count < GROUPS_SHOWN_MAX ? peer->group_count : GROUPS_SHOWN_MAX;
		reply_uint(out, "uid", peer->uid);
		reply_uint(out, "gid", peer->gid);
		wire_write_str(out, "groups");
		wire_write_array(out, shown);
		for (size_t i = 0; i < shown; i++) {
			wire_write_uint(out, peer->groups[i]);
		}
	}
	return peer->kind == IDENTITY_UNIX ? 3 : peer->kind == IDENTITY_CERTIFICATE ? 1 : 0;
}

enum status whoami_run(struct call *call)
{
	struct params params;
	char text[IDENTITY_TEXT_BYTES];
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct wire_writer *out = call->out;
	wire_write_map(out, 3 + reply_identity(NULL, call->peer));
	reply_str(out, "peer", identity_text(text, call->peer));
	reply_roles(out, call->roles);
	(void)reply_identity(out, call->peer);
	reply_by(out, call->service->access, call->peer);
	return reply_end(call);
}

/* Writes what the peer may do. */
static void reply_check(struct call *call, const struct method *method,
	const struct peer_identity *peer)
{
	char text[IDENTITY_TEXT_BYTES];
	uint64_t version = 0;
	struct wire_writer *out = call->out;
	const unsigned roles = access_ask(call->service->access, peer, &version);
	wire_write_map(out, 6 + reply_identity(NULL, peer));
	reply_str(out, "peer", identity_text(text, peer));
	reply_str(out, "method", method->name);
	reply_str(out, "wants", role_name(method->role));
	reply_flag(out, "allowed", (roles & (unsigned)method->role) != 0);
	reply_roles(out, roles);
	(void)reply_identity(out, peer);
	reply_by(out, call->service->access, peer);
}

enum status access_check_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", access_check_names, &call->error);
	const struct wire_bytes as = params_str(&params, "as", PARAM_REQUIRED);
	const struct wire_bytes name = params_str(&params, "method", PARAM_REQUIRED);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	char who[AS_BYTES];
	char quoted[ERROR_QUOTE_BYTES];
	if (as.len >= sizeof who || memchr(as.data, '\0', as.len) != NULL) {
		return error_set(&call->error, STATUS_BAD_REQUEST,
			"as: '%s' given, at most %zu bytes without a NUL allowed",
			error_quote(quoted, as.data, as.len), sizeof who - 1);
	}
	memcpy(who, as.data, as.len);
	who[as.len] = '\0';
	const struct method *method = method_find((const char *)name.data, name.len);
	if (method == NULL) {
		return error_set(&call->error, STATUS_BAD_REQUEST,
			"method: there is no method '%s'; schema/PROTOCOL.md has all",
			error_quote(quoted, name.data, name.len));
	}
	struct peer_identity peer;
	struct error why;
	enum status status = access_identity_of(who, &peer, &why);
	if (status == STATUS_OK) {
		reply_check(call, method, &peer);
		status = reply_end(call);
	} else {
		(void)error_set(&call->error, status, "as: %s", why.text);
	}
	identity_fini(&peer);
	return status;
}
