/* slow.c - makes the entry of a slow request, and the lines of slow and failed ones. */
#include "daemon/net/slow.h"

#include "daemon/access/identity.h"
#include "daemon/method/call/method.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_subject.h"
#include "daemon/net/net.h"
#include "daemon/net/session.h"
#include "daemon/store/system/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { NS_PER_US = 1000, NS_PER_SECOND = 1000 * 1000 * 1000, SUBJECT_BYTES = 640 };

bool slow_is_fault(enum status status)
{
	return status == STATUS_CORRUPT || status == STATUS_DISK_FULL ||
	       status == STATUS_READ_ONLY || status == STATUS_NO_MEMORY || status == STATUS_IO ||
	       status == STATUS_INTERNAL;
}

bool slow_wants(const struct net *net, uint64_t total_ns, enum status status)
{
	return slow_log_wants(net->service->slow_log, total_ns) || slow_is_fault(status);
}

struct slow_entry *slow_subject_new(struct net *net, struct wire_bytes message)
{
	struct slow_entry *entry = calloc(1, sizeof *entry);
	if (entry != NULL) {
		slow_subject_read(entry, net->service, message);
	}
	return entry;
}

static void fill(struct slow_entry *entry, struct net *net, const struct slow_request *request)
{
	if (request->subject != NULL) {
		*entry = *request->subject;
	} else {
		*entry = (struct slow_entry){.id = 0};
		slow_subject_read(entry, net->service, request->message);
	}
	entry->time_ms = clock_unix_ms();
	entry->total_us = request->total_ns / NS_PER_US;
	entry->queued_us = request->queued_ns / NS_PER_US;
	entry->work_us = request->work_ns / NS_PER_US;
	entry->method = request->method->name;
	entry->status = request->status;
	entry->bytes_in = request->bytes_in;
	entry->bytes_out = request->bytes_out;
	char peer[IDENTITY_TEXT_BYTES];
	identity_text(peer, &request->session->peer);
	slow_text(entry->peer, sizeof entry->peer,
		(struct wire_bytes){(const uint8_t *)peer, strlen(peer)});
	memcpy(entry->client, request->session->client, sizeof entry->client);
}

/* May one more line be told now? untold: out, how many were not since the one before. */
static bool may_tell(struct slow_lines *lines, uint64_t *untold)
{
	const uint64_t second = uv_hrtime() / NS_PER_SECOND;
	if (atomic_exchange(&lines->second, second) != second) {
		atomic_store(&lines->told, 0);
	}
	if (atomic_fetch_add(&lines->told, 1) >= SLOW_LINES) {
		atomic_fetch_add(&lines->untold, 1);
		return false;
	}
	*untold = atomic_exchange(&lines->untold, 0);
	return true;
}

void slow_tell(struct net *net, const struct slow_request *request)
{
	struct slow_entry entry;
	char subject[SUBJECT_BYTES];
	uint64_t untold;
	fill(&entry, net, request);
	slow_entry_text(&entry, subject, sizeof subject);
	if (slow_is_fault(request->status) && may_tell(&net->failed, &untold)) {
		net_event(net, "event=request_failed %s untold=%" PRIu64, subject, untold);
	}
	if (!slow_log_wants(net->service->slow_log, request->total_ns)) {
		return;
	}
	slow_log_add(net->service->slow_log, &entry);
	if (may_tell(&net->slow, &untold)) {
		net_event(net,
			"event=request_slow id=%" PRIu64 " us=%" PRIu64 " queued_us=%" PRIu64
			" work_us=%" PRIu64 " keys=%" PRIu64 " bytes_in=%" PRIu64
			" bytes_out=%" PRIu64 " %s untold=%" PRIu64,
			entry.id, entry.total_us, entry.queued_us, entry.work_us, entry.keys,
			entry.bytes_in, entry.bytes_out, subject, untold);
	}
}
