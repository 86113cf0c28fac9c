/* tuning.c - turns settings into limits, bounds and rates. */
#include "daemon/tuning.h"

#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"
#include "daemon/process_served.h"
#include "daemon/store/store.h"

struct net_limits tuning_limits(const struct settings *settings)
{
	return (struct net_limits){
		.max_connections = settings->max_connections,
		.kept_connections = settings->kept_connections,
		.user_connections = settings->user_connections,
		.in_flight = settings->in_flight,
		.connection_reply_bytes = settings->connection_reply_bytes,
		.queue_ms = settings->queue_ms,
		.idle_timeout_ms = settings->idle_timeout_ms,
		.least_rate_bytes = settings->least_rate_bytes,
		.request_timeout_ms = settings->request_timeout_ms,
		.grace_ms = settings->stop_grace_ms,
		.spin_us = settings->spin_us,
	};
}

struct server_memory tuning_memory(const struct settings *settings)
{
	return (struct server_memory){
		.request_bytes = settings->request_memory_bytes,
		.reply_bytes = settings->reply_memory_bytes,
		.kept_bytes = settings->kept_memory_bytes,
	};
}

struct write_options tuning_writes(const struct settings *settings)
{
	return (struct write_options){
		.durability = settings->periodic ? DURABILITY_PERIODIC : DURABILITY_SYNC,
		.sync_interval_ms = settings->sync_interval_ms,
		.log_bytes = settings->log_bytes,
		.memtable_rows = settings->memtable_rows,
		.memtable_bytes = settings->memtable_bytes,
		.merge_age_ms = settings->merge_age_ms,
		.merge_rate = settings->merge_rate_bytes,
	};
}

void tuning_apply(const struct settings *settings, struct server *server, struct store *store,
	struct service *service)
{
	const struct net_limits limits = tuning_limits(settings);
	const struct server_memory memory = tuning_memory(settings);
	const struct write_options writes = tuning_writes(settings);
	server_retune(server, &limits, &memory);
	store_retune(store, &writes, settings->disk_reserve_bytes);
	service->request_keys = settings->request_keys;
	service->request_work_ms = settings->request_work_ms;
	slow_log_set_threshold(service->slow_log, settings->slow_threshold_ms);
	if (service->served != NULL) {
		const struct served_limits served = process_served_limits(settings);
		served_set_limits(service->served, &served);
	}
}
