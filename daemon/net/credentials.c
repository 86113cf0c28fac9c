/* credentials.c - hands out the context of now, and tells of peers that were refused. */
#include "daemon/net/credentials.h"

#include "daemon/net/guard.h"
#include "daemon/net/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PEER_BYTES = 64 };

void credentials_init(struct credentials *credentials, struct tls_context *context)
{
	*credentials = (struct credentials){.context = context};
	lock_init(&credentials->lock);
}

void credentials_fini(struct credentials *credentials)
{
	tls_context_close(credentials->context);
	credentials->context = NULL;
	lock_fini(&credentials->lock);
}

struct tls_context *credentials_take(struct credentials *credentials, uint64_t *generation)
{
	struct tls_context *context = NULL;
	lock_take(&credentials->lock);
	if (credentials->context != NULL) {
		context = tls_context_hold(credentials->context);
	}
	*generation = atomic_load(&credentials->generation);
	lock_release(&credentials->lock);
	return context;
}

void credentials_replace(struct credentials *credentials, struct tls_context *context)
{
	lock_take(&credentials->lock);
	struct tls_context *before = credentials->context;
	credentials->context = context;
	atomic_fetch_add(&credentials->generation, 1);
	lock_release(&credentials->lock);
	tls_context_close(before);
}

/* ---- refusals ---- */

static void print_peer(int fd, char out[PEER_BYTES])
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} peer = {0};
	socklen_t len = sizeof peer;
	char host[INET6_ADDRSTRLEN] = "";
	(void)snprintf(out, PEER_BYTES, "unknown");
	if (getpeername(fd, &peer.any, &len) != 0) {
		return;
	}
	if (peer.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &peer.in.sin_addr, host, sizeof host);
		(void)snprintf(out, PEER_BYTES, "%s:%u", host, (unsigned)ntohs(peer.in.sin_port));
	} else if (peer.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &peer.in6.sin6_addr, host, sizeof host);
		(void)snprintf(out, PEER_BYTES, "[%s]:%u", host,
			(unsigned)ntohs(peer.in6.sin6_port));
	}
}

enum status credentials_identify(const struct tls_peer *names, struct peer_identity *out)
{
	static const enum identity_name_kind kinds[] = {
		[TLS_NAME_URI] = IDENTITY_URI,
		[TLS_NAME_DNS] = IDENTITY_DNS,
		[TLS_NAME_CN] = IDENTITY_CN,
	};
	struct peer_identity peer = {.kind = IDENTITY_CERTIFICATE};
	for (unsigned i = 0; i < names->names_count; i++) {
		const struct tls_name *name = &names->names[i];
		const enum status status =
			identity_add_name(&peer, kinds[name->kind], name->text, strlen(name->text));
		if (status != STATUS_OK) {
			identity_fini(&peer);
			return status;
		}
	}
	*out = peer;
	return STATUS_OK;
}

void credentials_note_refusal(struct net *net, int fd, enum tls_refusal refusal,
	const struct tls_peer *names, const char *why)
{
	atomic_fetch_add(&net->credentials.refused[refusal], 1);
	if (!guard_has_room_for(net, refusal)) {
		return;
	}
	char from[PEER_BYTES];
	char text[IDENTITY_TEXT_BYTES] = "none";
	struct peer_identity peer = {0};
	print_peer(fd, from);
	if (names != NULL && names->names_count > 0 &&
		credentials_identify(names, &peer) == STATUS_OK) {
		identity_text(text, &peer);
	}
	identity_fini(&peer);
	net_event(net, "event=audit result=DENIED reason=%s from=%s peer=%s error=\"%s\"",
		tls_refusal_name(refusal), from, text, why);
}
