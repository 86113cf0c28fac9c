/* metrics.h - all metrics of the daemon, as text.
 *
 * Names never change. Labels come from closed sets: methods, codes, queues, causes, and the tables of
 * the live release; never keys, peers, sources or, but for *_info, releases.
 *
 * Threads: any that is registered (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_HTTP_METRICS_H
#define DAEMON_HTTP_METRICS_H

#include "daemon/http/text.h"

#include <stdint.h>

struct http_sources;
struct live_figures;
struct service;
struct stats_sources;
struct store;
struct store_figures;

/* Everything. If memory is refused, text->failed is set. */
void metrics_write(struct text *text, const struct http_sources *sources);

/* Its parts. */
void metrics_of_net(struct text *text, const struct stats_sources *net);
void metrics_of_limits(struct text *text, const struct stats_sources *net,
	const struct store_figures *figures);
void metrics_of_methods(struct text *text, const struct stats_sources *net,
	const struct service *service);
void metrics_of_store(struct text *text, struct store *store, const struct store_figures *figures);
void metrics_of_live(struct text *text, const struct live_figures *live);
void metrics_of_process(struct text *text, double started_s);

uint64_t process_resident_bytes(void);

#endif
