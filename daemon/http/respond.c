/* respond.c - which path is answered with what, and who is refused. */
#include "daemon/http/respond.h"

#include "daemon/http/health.h"
#include "daemon/http/metrics.h"
#include "daemon/http/page.h"
#include "daemon/http/sources.h"
#include "daemon/http/state.h"

#include <ctype.h>
#include <string.h>

static const char type_text[] = "text/plain; charset=utf-8";
static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";

static void refuse(struct response *out, unsigned code, const char *why)
{
	out->code = code;
	out->type = type_text;
	text_add(&out->body, "%s\n", why);
}

static void give_metrics(const struct http_sources *sources, const struct series *series,
	struct response *out)
{
	(void)series;
	out->type = type_metrics;
	metrics_write(&out->body, sources);
}

static void give_alive(const struct http_sources *sources, const struct series *series,
	struct response *out)
{
	(void)series;
	const bool is_alive = health_is_alive(sources);
	out->code = is_alive ? 200 : 503;
	text_add(&out->body, is_alive ? "ok\n" : "a loop has not turned for seconds\n");
}

static void give_ready(const struct http_sources *sources, const struct series *series,
	struct response *out)
{
	(void)series;
	out->code = health_write(&out->body, sources) ? 200 : 503;
}

static void give_state(const struct http_sources *sources, const struct series *series,
	struct response *out)
{
	out->type = "application/json";
	state_write(&out->body, sources, series);
}

static void give_page(const struct http_sources *sources, const struct series *series,
	struct response *out)
{
	(void)sources;
	(void)series;
	out->type = "text/html; charset=utf-8";
	out->policy = page_policy;
	text_add(&out->body, "%.*s", (int)page_bytes, (const char *)page_data);
}

/* Where a path is answered. */
enum where { ALWAYS, NOT_EXPOSED, WITH_PAGE };

struct path {
	const char *path;
	void (*give)(const struct http_sources *sources, const struct series *series,
		struct response *out);
	enum where where;
};

static const struct path paths[] = {
	{"/metrics", give_metrics, ALWAYS},
	{"/healthz", give_alive, NOT_EXPOSED},
	{"/livez", give_alive, NOT_EXPOSED},
	{"/readyz", give_ready, NOT_EXPOSED},
	{"/api/state", give_state, WITH_PAGE},
	{"/", give_page, WITH_PAGE},
};

static bool is_given(const struct path *path, const struct asked *asked, bool shows_page)
{
	switch (path->where) {
	case ALWAYS:
		break;
	case NOT_EXPOSED:
		return !asked->exposes_metrics;
	case WITH_PAGE:
		return !asked->exposes_metrics && shows_page;
	}
	return true;
}

static const struct path *find(const struct asked *asked, bool shows_page)
{
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (is_given(&paths[i], asked, shows_page) &&
			strcmp(paths[i].path, asked->path) == 0) {
			return &paths[i];
		}
	}
	return NULL;
}

bool host_is_local(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const size_t len = strlen(names[i]);
		if (strncasecmp(host, names[i], len) != 0) {
			continue;
		}
		const char *rest = host + len;
		const size_t digits = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
		if (*rest == '\0' || (digits > 0 && digits <= 5 && rest[1 + digits] == '\0')) {
			return true;
		}
	}
	return false;
}

void respond(const struct asked *asked, const struct http_sources *sources,
	const struct series *series, struct response *out)
{
	*out = (struct response){.code = 200, .type = type_text, .policy = "default-src 'none'"};
	const bool checks_host = asked->is_tcp && !asked->exposes_metrics;
	const struct path *path = find(asked, sources->shows_page);
	if (strcmp(asked->method, "GET") != 0 && strcmp(asked->method, "HEAD") != 0) {
		refuse(out, 405, "GET and HEAD are answered, nothing else");
	} else if (checks_host && (asked->host == NULL || !host_is_local(asked->host))) {
		refuse(out, 403, "Host: localhost, 127.0.0.1 or [::1] expected");
	} else if (path == NULL) {
		refuse(out, 404, "there is /metrics, /healthz and /readyz");
	} else {
		path->give(sources, series, out);
	}
	if (out->body.failed) {
		text_fini(&out->body);
		refuse(out, 503, "no memory for the answer");
	}
}
