/* tuning.h - the settings as the server and the store take them: at the start, and again after a reload.
 *
 * Threads: the main one.
 */
#ifndef DAEMON_TUNING_H
#define DAEMON_TUNING_H

#include "daemon/net/server.h"
#include "daemon/settings.h"
#include "daemon/store/state/options.h"

struct service;
struct store;

struct net_limits tuning_limits(const struct settings *settings);
struct server_memory tuning_memory(const struct settings *settings);
struct write_options tuning_writes(const struct settings *settings);

/* Gives the parts that run what may change while they do. */
void tuning_apply(const struct settings *settings, struct server *server, struct store *store,
	struct service *service);

#endif
