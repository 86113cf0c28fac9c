/* whoami.c - who the caller is to the daemon, and what it may do. */
#include "client/client.h"
#include "client/field.h"

#include <string.h>

static const struct {
	const char *name;
	enum rep_role role;
} known[] = {
	{"read", REP_ROLE_READ},
	{"write", REP_ROLE_WRITE},
	{"publish", REP_ROLE_PUBLISH},
	{"admin", REP_ROLE_ADMIN},
};

/* Roles that a later daemon has besides are passed over. */
static unsigned read_roles(struct wire_value list)
{
	unsigned roles = 0;
	for (size_t i = 0; i < wire_size(list); i++) {
		struct wire_bytes each;
		const bool is_name = wire_str(wire_item(list, i), &each);
		for (size_t j = 0; is_name && j < sizeof known / sizeof known[0]; j++) {
			roles |= wire_bytes_are(each, known[j].name) ? (unsigned)known[j].role : 0;
		}
	}
	return roles;
}

enum rep_status rep_whoami(rep_client *client, struct rep_identity *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct rep_identity identity = {0};
	(void)client_begin(client, "whoami", 0);
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		const struct wire_value roles = wire_get(reply.result, "roles");
		identity.roles = read_roles(roles);
		if (wire_type(roles) != WIRE_ARRAY ||
			!field_text(reply.result, "peer", identity.peer, sizeof identity.peer)) {
			status = error_set(err, STATUS_PROTOCOL,
				"an answer without its 'peer' or its 'roles'");
		}
	}
	if (status == STATUS_OK) {
		*out = identity;
	}
	reply_close(&reply);
	return (enum rep_status)status;
}
