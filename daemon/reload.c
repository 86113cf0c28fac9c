/* reload.c - reads settings, compares, applies, and says what was done with each that differs. */
#include "daemon/reload.h"

#include "daemon/access/access.h"
#include "daemon/certificates.h"
#include "daemon/journal.h"
#include "daemon/method/call/service.h"
#include "daemon/net/server.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/stop.h"
#include "daemon/store/system/thread.h"
#include "daemon/tuning.h"
#include "schema/wire.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64 }; /* of a setting, with its section */

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

/* Gives the outcome to those who have asked before the reading began. */
static void answer(struct reload *reload, const struct reload_outcome *outcome)
{
	lock_take(&reload->lock);
	reload->outcome = *outcome;
	reload->answered = reload->answering;
	condition_broadcast(&reload->told);
	lock_release(&reload->lock);
}

static void put_in_force(struct reload *reload)
{
	struct reload_outcome outcome = {.status = STATUS_OK};
	const struct reload_parts *parts = &reload->parts;
	struct config_figures *figures = &parts->service->config;
	tell_entries(&parts->settings->access, &reload->wanted.access, "removed");
	tell_entries(&reload->wanted.access, &parts->settings->access, "added");
	outcome.count = settings_adopt(parts->settings, &reload->wanted, outcome.changes);
	memcpy(outcome.config, parts->settings->config, sizeof outcome.config);
	access_replace(parts->access, &parts->settings->access);
	if (reload->tls != NULL) {
		certificates_announce(reload->tls);
		server_replace_tls(parts->server, reload->tls);
		reload->tls = NULL;
	}
	tuning_apply(parts->settings, parts->server, parts->store, parts->service);
	for (unsigned i = 0; i < outcome.count; i++) {
		const struct settings_change *change = &outcome.changes[i];
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
		parts->settings->config, outcome.count);
	figures->reloads++;
	figures->success_ms = clock_unix_ms();
	figures->is_good = true;
	answer(reload, &outcome);
}

static void refuse(struct reload *reload)
{
	struct config_figures *figures = &reload->parts.service->config;
	journal_event(JOURNAL_ERROR,
		"event=config_refused error=\"%s\" reason=\"nothing has changed\"",
		reload->err.text);
	figures->failed++;
	figures->is_good = false;
	const struct reload_outcome outcome = {.status = reload->status, .err = reload->err};
	answer(reload, &outcome);
}

static void begin(struct reload *reload)
{
	lock_take(&reload->lock);
	reload->answering = reload->asked;
	lock_release(&reload->lock);
	/* A thread that runs owns the outcome until it has been joined. */
	struct error err = {0};
	const enum status started =
		thread_start(&reload->thread, read_settings, reload, "reload", &err);
	reload->running = started == STATUS_OK;
	if (!reload->running) {
		reload->status = started;
		reload->err = err;
		refuse(reload);
	}
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

static void begin_or_go_on(struct reload *reload)
{
	if (reload->stopped) {
		return;
	}
	if (reload->running) {
		reload->again = true;
	} else {
		begin(reload);
	}
}

static void on_hangup(uv_signal_t *signal, int number)
{
	(void)number;
	begin_or_go_on(signal->data);
}

/* A reading that began after all who ask had asked is theirs. */
static void on_wanted_anew(uv_async_t *wanted_anew)
{
	struct reload *reload = wanted_anew->data;
	lock_take(&reload->lock);
	const bool is_theirs = reload->running && reload->answering >= reload->asked;
	lock_release(&reload->lock);
	if (!is_theirs) {
		begin_or_go_on(reload);
	}
}

/* ---- those who ask ---- */

static void write_names(struct wire_writer *writer, const struct reload_outcome *outcome,
	bool taken)
{
	unsigned count = 0;
	for (unsigned i = 0; i < outcome->count; i++) {
		count += outcome->changes[i].taken == taken ? 1 : 0;
	}
	wire_write_array(writer, count);
	for (unsigned i = 0; i < outcome->count; i++) {
		const struct settings_change *change = &outcome->changes[i];
		char name[NAME_BYTES];
		if (change->taken == taken) {
			(void)snprintf(name, sizeof name, "%s.%s", change->section, change->key);
			wire_write_str(writer, name);
		}
	}
}

static enum status write_outcome(const struct reload_outcome *outcome, struct wire_writer *writer,
	struct error *err)
{
	if (outcome->status != STATUS_OK) {
		return error_set(err, outcome->status, "reload: nothing has changed: %s",
			outcome->err.text);
	}
	wire_write_map(writer, 3);
	wire_write_str(writer, "config");
	wire_write_str(writer, outcome->config);
	wire_write_str(writer, "changed");
	write_names(writer, outcome, true);
	wire_write_str(writer, "kept");
	write_names(writer, outcome, false);
	return STATUS_OK;
}

enum status reload_ask(void *arg, const struct stop *stop, struct wire_writer *writer,
	struct error *err)
{
	struct reload *reload = arg;
	enum status status = STATUS_OK;
	lock_take(&reload->lock);
	if (reload->waiting == RELOAD_WAITING_MAX) {
		lock_release(&reload->lock);
		return error_set(err, STATUS_BUSY,
			"reload: %d others wait for it already, see the journal",
			RELOAD_WAITING_MAX);
	}
	reload->waiting++;
	const uint64_t own = ++reload->asked;
	if (!reload->refuses) {
		uv_async_send(&reload->wanted_anew);
	}
	while (reload->answered < own && !reload->refuses && status == STATUS_OK) {
		(void)condition_wait_until(&reload->told, &reload->lock, stop_look_ms(stop));
		status = stop_check(stop, err);
	}
	reload->waiting--;
	if (reload->answered >= own) {
		status = write_outcome(&reload->outcome, writer, err);
	} else if (status == STATUS_OK) {
		status = error_set(err, STATUS_BUSY, "reload: the daemon is stopping");
	}
	lock_release(&reload->lock);
	return status;
}

static void refuse_all(struct reload *reload)
{
	lock_take(&reload->lock);
	reload->refuses = true;
	condition_broadcast(&reload->told);
	lock_release(&reload->lock);
}

/* ---- the handles ---- */

void reload_init(struct reload *reload, uv_loop_t *uv)
{
	uv_signal_init(uv, &reload->hangup);
	/* A loop has opened what its handles of this kind share when it was made. */
	int failed = uv_async_init(uv, &reload->read, on_read);
	assert(failed == 0);
	failed = uv_async_init(uv, &reload->wanted_anew, on_wanted_anew);
	assert(failed == 0);
	(void)failed;
	reload->hangup.data = reload->read.data = reload->wanted_anew.data = reload;
	lock_init(&reload->lock);
	condition_init(&reload->told);
}

void reload_fini(struct reload *reload)
{
	condition_fini(&reload->told);
	lock_fini(&reload->lock);
}

void reload_start(struct reload *reload, const struct reload_parts *parts)
{
	reload->parts = *parts;
	uv_signal_start(&reload->hangup, on_hangup, SIGHUP);
}

void reload_stop(struct reload *reload)
{
	reload->stopped = true;
	refuse_all(reload);
	/* A signal that comes now is one of those that do nothing. */
	(void)uv_signal_stop(&reload->hangup);
	(void)signal(SIGHUP, SIG_IGN);
}

void reload_close(struct reload *reload)
{
	reload->stopped = true;
	reload->closing = true;
	refuse_all(reload);
	uv_close((uv_handle_t *)&reload->hangup, NULL);
	uv_close((uv_handle_t *)&reload->wanted_anew, NULL);
	if (!reload->running) {
		uv_close((uv_handle_t *)&reload->read, NULL);
	}
}
