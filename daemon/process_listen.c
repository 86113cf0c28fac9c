/* process_listen.c - takes sockets that were passed, or opens those of the settings. */
#include "daemon/process_listen.h"

#include "daemon/notify.h"

#include <assert.h>
#include <string.h>

static enum status adopt(struct process_listen *listen, const struct notify_socket *passed,
	struct error *err)
{
	const bool tls = strcmp(passed->name, "tls") == 0;
	if (listen->count == SETTINGS_LISTEN_MAX) {
		return error_set(err, STATUS_BAD_REQUEST,
			"more than %d sockets named rpc or tls were passed", SETTINGS_LISTEN_MAX);
	}
	struct listener *listener = &listen->listeners[listen->count];
	const enum status status = tls ? listener_adopt_tls(passed->fd, listener, err)
				       : listener_adopt(passed->fd, listener, err);
	listen->count += status == STATUS_OK ? 1 : 0;
	listen->has_tls = listen->has_tls || tls;
	return status;
}

/* Takes the sockets that the service manager has passed, each for what its name says. */
static enum status take_passed(struct process_listen *listen, struct error *err)
{
	struct notify_socket passed[NOTIFY_SOCKETS_MAX];
	const unsigned count = notify_sockets(passed);
	enum status status = STATUS_OK;
	if (count > NOTIFY_SOCKETS_MAX) {
		return error_set(err, STATUS_BAD_REQUEST, "%u sockets were passed, %d are allowed",
			count, NOTIFY_SOCKETS_MAX);
	}
	for (unsigned i = 0; status == STATUS_OK && i < count; i++) {
		const char *name = passed[i].name;
		/* Who passes sockets without names knows of one kind. */
		if (strcmp(name, "rpc") == 0 || strcmp(name, "tls") == 0 ||
			strcmp(name, "unknown") == 0) {
			status = adopt(listen, &passed[i], err);
		} else if (strcmp(name, "http") == 0 && listen->http < 0) {
			listen->http = passed[i].fd;
		} else {
			status = error_set(err, STATUS_BAD_REQUEST,
				"a socket was passed as '%s': rpc, tls, and one http, are known; "
				"FileDescriptorName= of its unit names it",
				name);
		}
	}
	return status;
}

static enum status parse_addresses(struct process_listen *listen, const struct settings *settings,
	struct error *err)
{
	for (unsigned i = 0; i < settings->listen_count; i++) {
		const enum status status =
			address_parse(settings->listen[i], &listen->addresses[i], err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	listen->address_count = settings->listen_count;
	/* Those of the settings are used if none was passed. */
	for (unsigned i = 0; listen->count == 0 && i < listen->address_count; i++) {
		listen->has_tls = listen->has_tls || listen->addresses[i].tls;
	}
	return STATUS_OK;
}

enum status process_listen_check(struct process_listen *listen, const struct settings *settings,
	struct error *err)
{
	*listen = (struct process_listen){.http = -1};
	return parse_addresses(listen, settings, err);
}

enum status process_listen_begin(struct process_listen *listen, const struct settings *settings,
	struct error *err)
{
	*listen = (struct process_listen){.http = -1};
	const enum status status = take_passed(listen, err);
	return status == STATUS_OK ? parse_addresses(listen, settings, err) : status;
}

/* Keeps the addresses for the method `info`, and for the journal, from which people and scripts
 * learn the port. */
static void show(struct process_listen *listen)
{
	assert(listen->count <= SETTINGS_LISTEN_MAX);
	for (unsigned i = 0; i < listen->count; i++) {
		assert(listen->listeners[i].fd >= 0);
		memcpy(listen->texts[i], listen->listeners[i].address.text, ADDRESS_TEXT_BYTES);
		listen->shown[i] = listen->texts[i];
	}
}

enum status process_listen_open(struct process_listen *listen, const struct settings *settings,
	struct error *err)
{
	enum status status = STATUS_OK;
	const unsigned wanted = listen->count == 0 ? listen->address_count : 0;
	for (unsigned i = 0; status == STATUS_OK && i < wanted; i++) {
		status = listener_open(&listen->addresses[i], settings->socket_mode,
			&listen->listeners[i], err);
		listen->count += status == STATUS_OK ? 1 : 0;
	}
	show(listen);
	return status;
}

void process_listen_close(struct process_listen *listen)
{
	for (unsigned i = 0; i < listen->count; i++) {
		listener_close(&listen->listeners[i]);
	}
}
