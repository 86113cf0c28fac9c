/* options.c - options and what they are by default. */
#include "client/options.h"

#include "client/address.h"
#include "client/reserved.h"
#include "schema/limits.h"
#include "schema/spin.h"

#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_TIMEOUT_MS = 5000,
	CALL_TIMEOUT_MS = 30000,
	OTHERS_MAX = 64,
};

static const char *address_of(const struct rep_options *given)
{
	if (given->address != NULL) {
		return given->address;
	}
	const char *address = getenv("REPSTORE");
	return address != NULL && address[0] != '\0' ? address : ADDRESS_DEFAULT;
}

static enum status check(const struct rep_options *given, struct error *err)
{
	if (given->others_count > OTHERS_MAX) {
		return error_set(err, STATUS_BAD_REQUEST,
			"others_count: %zu given, at most %d allowed", given->others_count,
			OTHERS_MAX);
	}
	if (given->spin_us > SPIN_US_MAX) {
		return error_set(err, STATUS_BAD_REQUEST, "spin_us: %u given, at most %d allowed",
			given->spin_us, SPIN_US_MAX);
	}
	for (size_t i = 0; i < given->others_count; i++) {
		if (given->others == NULL || given->others[i] == NULL) {
			return error_set(err, STATUS_BAD_REQUEST, "others[%zu]: no address", i);
		}
	}
	if (given->client != NULL && strlen(given->client) > LIMIT_CLIENT_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"client: %zu bytes given, at most %u allowed", strlen(given->client),
			LIMIT_CLIENT_BYTES);
	}
	return RESERVED_CHECK("rep_options", given, err);
}

static enum status copy_addresses(const struct rep_options *given, struct options *out,
	struct error *err)
{
	const size_t count = given->others_count + 1;
	out->addresses = calloc(count, sizeof(char *));
	for (size_t i = 0; i < count && out->addresses != NULL; i++) {
		out->addresses[i] = strdup(i == 0 ? address_of(given) : given->others[i - 1]);
		if (out->addresses[i] == NULL) {
			break;
		}
		out->addresses_count++;
	}
	return out->addresses_count == count
		       ? STATUS_OK
		       : error_set(err, STATUS_NO_MEMORY, "no memory for a client");
}

/* A text of the caller, or of the environment, or none. */
static bool copy_text(const char *given, const char *variable, char **out)
{
	const char *text = given != NULL ? given : getenv(variable);
	*out = text != NULL && text[0] != '\0' ? strdup(text) : NULL;
	return *out != NULL || text == NULL || text[0] == '\0';
}

static enum status copy_secure(const struct rep_options *given, struct secure *out,
	struct error *err)
{
	const bool is_copied =
		copy_text(given->tls_authority, "REPSTORE_TLS_AUTHORITY", &out->authority) &&
		copy_text(given->tls_certificate, "REPSTORE_TLS_CERTIFICATE", &out->certificate) &&
		copy_text(given->tls_key, "REPSTORE_TLS_KEY", &out->key) &&
		copy_text(given->tls_server_name, "REPSTORE_TLS_SERVER_NAME", &out->server_name);
	return is_copied ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "no memory for a client");
}

enum status options_read(const struct rep_options *given, struct options *out, struct error *err)
{
	static const struct rep_options none;
	const struct rep_options *from = given != NULL ? given : &none;
	*out = (struct options){
		.connect_timeout_ms = from->connect_timeout_ms != 0 ? from->connect_timeout_ms
								    : CONNECT_TIMEOUT_MS,
		.timeout_ms = from->timeout_ms != 0 ? from->timeout_ms : CALL_TIMEOUT_MS,
		.no_reconnect = from->no_reconnect,
		.spin_us = from->spin_us,
		.interrupted = from->interrupted,
		.interrupted_context = from->interrupted_context,
	};
	enum status status = check(from, err);
	if (status == STATUS_OK && from->client != NULL) {
		out->client = strdup(from->client);
		if (out->client == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for a client");
		}
	}
	if (status == STATUS_OK) {
		status = copy_addresses(from, out, err);
	}
	return status == STATUS_OK ? copy_secure(from, &out->secure, err) : status;
}

void options_fini(struct options *options)
{
	for (size_t i = 0; i < options->addresses_count; i++) {
		free(options->addresses[i]);
	}
	free(options->addresses);
	free(options->secure.authority);
	free(options->secure.certificate);
	free(options->secure.key);
	free(options->secure.server_name);
	free(options->client);
	*options = (struct options){0};
}
