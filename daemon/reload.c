/* reload.c - reads settings, compares, applies, and says what was done with each that differs. */
#include "daemon/reload.h"

#include "daemon/access/access.h"
#include "daemon/certificates.h"
#include "daemon/journal.h"
#include "daemon/method/call/service.h"
#include "daemon/net/server.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/thread.h"
#include "daemon/tuning.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

static void *read_settings(void *arg)
{
	struct reload *reload = arg;
	reload->status = settings_load(&reload->wanted, reload->parts.source, &reload->err);
	/* Whether or not a setting has changed: what stands in the files may have. */
	if (reload->status == STATUS_OK && server_has_tls(reload->parts.server)) {
		reload->status = certificates_open(&reload->wanted, &reload->tls, &reload->err);
	}
	uv_async_send(&reload->read);
	return NULL;
}

/* Tells of each entry that only one of both has. */
static void tell_entries(const struct access_rules *rules, const struct access_rules *others,
	const char *change)
{
	for (unsigned i = 0; i < rules->count; i++) {
		const struct access_entry *entry = &rules->entries[i];
		char text[IDENTITY_TEXT_BYTES];
		if (access_rules_lack(others, entry)) {
			journal_event(JOURNAL_INFO,
				"event=audit result=OK peer=settings method=reload role=%s entry=%s change=%s",
				role_name(entry->role),
				identity_escape(text, sizeof text, entry->text,
					strlen(entry->text)),
				change);
		}
	}
}

static void put_in_force(struct reload *reload)
{
	struct settings_change changes[SETTINGS_CHANGES_MAX];
	const struct reload_parts *parts = &reload->parts;
	struct config_figures *figures = &parts->service->config;
	tell_entries(&parts->settings->access, &reload->wanted.access, "removed");
	tell_entries(&reload->wanted.access, &parts->settings->access, "added");
	const unsigned count = settings_adopt(parts->settings, &reload->wanted, changes);
	access_replace(parts->access, &parts->settings->access);
	if (reload->tls != NULL) {
		certificates_announce(reload->tls);
		server_replace_tls(parts->server, reload->tls);
		reload->tls = NULL;
	}
	tuning_apply(parts->settings, parts->server, parts->store, parts->service);
	for (unsigned i = 0; i < count; i++) {
		const struct settings_change *change = &changes[i];
		if (change->taken) {
			journal_event(JOURNAL_INFO, "event=config_changed setting=%s.%s",
				change->section, change->key);
		} else {
			journal_event(JOURNAL_WARNING,
				"event=config_kept setting=%s.%s reason=\"a restart takes it over\"",
				change->section, change->key);
		}
	}
	journal_event(JOURNAL_INFO, "event=config_loaded config='%s' differing=%u",
		parts->settings->config, count);
	figures->reloads++;
	figures->success_ms = clock_unix_ms();
	figures->is_good = true;
}

static void begin(struct reload *reload);

static void refuse(struct reload *reload)
{
	struct config_figures *figures = &reload->parts.service->config;
	journal_event(JOURNAL_ERROR,
		"event=config_refused error=\"%s\" reason=\"nothing has changed\"",
		reload->err.text);
	figures->failed++;
	figures->is_good = false;
}

static void on_read(uv_async_t *read)
{
	struct reload *reload = read->data;
	assert(reload->running); /* it was rung once, by the thread */
	(void)pthread_join(reload->thread, NULL);
	reload->running = false;
	if (reload->closing) {
		uv_close((uv_handle_t *)read, NULL);
	}
	if (reload->stopped) {
		tls_context_close(reload->tls);
		reload->tls = NULL;
		return;
	}
	if (reload->status == STATUS_OK) {
		put_in_force(reload);
	} else {
		refuse(reload);
	}
	if (reload->again) {
		reload->again = false;
		begin(reload);
	}
}

static void begin(struct reload *reload)
{
	reload->running = thread_start(&reload->thread, read_settings, reload, "reload",
				  &reload->err) == STATUS_OK;
	if (!reload->running) {
		refuse(reload);
	}
}

static void on_hangup(uv_signal_t *signal, int number)
{
	struct reload *reload = signal->data;
	(void)number;
	if (reload->stopped) {
		return;
	}
	if (reload->running) {
		reload->again = true;
	} else {
		begin(reload);
	}
}

void reload_init(struct reload *reload, uv_loop_t *uv)
{
	uv_signal_init(uv, &reload->hangup);
	const int failed = uv_async_init(uv, &reload->read, on_read);
	assert(failed ==
		0); /* a loop has opened what its handles of this kind share when it was made */
	(void)failed;
	reload->hangup.data = reload->read.data = reload;
}

void reload_start(struct reload *reload, const struct reload_parts *parts)
{
	reload->parts = *parts;
	uv_signal_start(&reload->hangup, on_hangup, SIGHUP);
}

void reload_stop(struct reload *reload)
{
	reload->stopped = true;
	/* A signal that comes now is one of those that do nothing. */
	(void)uv_signal_stop(&reload->hangup);
	(void)signal(SIGHUP, SIG_IGN);
}

void reload_close(struct reload *reload)
{
	reload->stopped = true;
	reload->closing = true;
	uv_close((uv_handle_t *)&reload->hangup, NULL);
	if (!reload->running) {
		uv_close((uv_handle_t *)&reload->read, NULL);
	}
}
