/* embedded.c - clients of a peer in this process. */
#include "client/embedded.h"

#include "client/address.h"
#include "client/client.h"
#include "config.h"

#include <string.h>

enum status repstore_embedded_open(const struct embedded *embedded, void *context, const char *name,
	rep_client **out, struct error *err)
{
	if (strcmp(embedded->version, REPSTORE_VERSION) != 0 ||
		embedded->bytes != sizeof *embedded) {
		return error_set(err, STATUS_UNSUPPORTED,
			"librepstore-local %s does not go with librepstore %s: install both of one "
			"version",
			embedded->version, REPSTORE_VERSION);
	}
	const struct rep_options options = {.address = name};
	return client_open(&options, embedded, context, out, err);
}

void *repstore_embedded_context(const rep_client *client, const struct embedded *embedded)
{
	const struct transport *transport = &client->transport;
	return transport->embedded == embedded ? transport->embedded_context : NULL;
}

enum status repstore_embedded_check_address(const char *address, struct error *err)
{
	return address_check(address, err);
}
