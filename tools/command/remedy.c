/* remedy.c - a table of what the daemon says, and what helps. */
#include "tools/command/remedy.h"

#include "tools/command/suggestion.h"
#include "tools/format/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 2, NAME_BYTES = 160, LISTED_MAX = 1024, ASK_MS = 2000 };

struct remedy {
	enum status status;
	const char *said; /* a part of the text; %1 and %2 are names in quotes */
	const char *text; /* what helps, with these names */
	/* The method that lists what there is, of release %2 if there is one: the array in its answer,
	 * and the name in each entry. NULL: nothing may be meant. */
	const char *method;
	const char *list;
	const char *name;
};

static const struct remedy remedies[] = {
	{STATUS_NOT_FOUND, "table: '%1' is not in release '%2'",
		"`repstore table list %2` lists its tables; one of another release is RELEASE/TABLE",
		"table.list", "tables", "table"},
	{STATUS_NOT_FOUND, "tensor: '%1' is not in release '%2'",
		"`repstore tensor list %2` lists its tensors", "tensor.list", "tensors", "tensor"},
	{STATUS_NOT_FOUND, "release: '%1' does not exist", "`repstore release list` lists them",
		"release.list", "releases", "release"},
	{STATUS_NOT_FOUND, "no table of release '%1' aggregates",
		"`repstore layer list %1` lists its layers", NULL, NULL, NULL},
	{STATUS_NOT_FOUND, "release: none is live",
		"`repstore release publish ID` makes one live, --release ID names one", NULL, NULL,
		NULL},
	{STATUS_NOT_FOUND, "no release was live before",
		"`repstore release publish ID` goes to any sealed release", NULL, NULL, NULL},
	{STATUS_NOT_SEALED, "release: '%1' is open; seal it before it is published",
		"`repstore release seal %1`", NULL, NULL, NULL},
	{STATUS_NOT_SEALED, "release '%1' is open, seal it first", "`repstore release seal %1`",
		NULL, NULL, NULL},
	{STATUS_NOT_SEALED, "release: '%1' is open",
		"`repstore import %1/TABLE` loads into it, `repstore release seal %1` seals it",
		NULL, NULL, NULL},
	{STATUS_SEALED, "release: '%1' is sealed, its tables are fixed",
		"`repstore release create ID` begins another release", NULL, NULL, NULL},
	{STATUS_EXISTS, "release: '%1' exists and is sealed",
		"`repstore release publish %1`, `repstore release drop %1`", NULL, NULL, NULL},
	{STATUS_EXISTS, "release: '%1' exists and is open",
		"`repstore import %1/TABLE`, `repstore release drop %1`", NULL, NULL, NULL},
	{STATUS_EXISTS, "release: '%1' exists and is live",
		"`repstore release list` shows the others", NULL, NULL, NULL},
	{STATUS_EXISTS, "table: '%1' exists in release '%2'",
		"`repstore table show %2/%1` shows it", NULL, NULL, NULL},
	{STATUS_CONFLICT, "load: '%1' of table '%2' has not ended",
		"the import that began it ends it, `repstore import RELEASE/%2 --forget %1` drops it",
		NULL, NULL, NULL},
	{STATUS_CONFLICT, "release: '%1' is live; publish another",
		"`repstore release list` shows which there are", NULL, NULL, NULL},
	{STATUS_NOT_FOUND, "source: '%1' is not counted in release '%2'",
		"`repstore positions %2` lists those that are", "positions", "positions", "source"},
	{STATUS_NOT_FOUND, "source: '%1' is not counted in layer",
		"`repstore positions` lists those that are", NULL, NULL, NULL},
	{STATUS_NOT_FOUND, "load: table '%1' of release '%2' has none named",
		"`repstore release show %2` lists them", NULL, NULL, NULL},
	{STATUS_BAD_REQUEST, "given, [A-Za-z0-9][A-Za-z0-9._-]{0,63} allowed",
		"letters, digits, '.', '_' and '-', and no space", NULL, NULL, NULL},
	{STATUS_BAD_REQUEST, "but table '%1' holds [",
		"--through sends queries through a stored layer of that width", NULL, NULL, NULL},
	{STATUS_BAD_REQUEST, "which compares bits, but table '%1' holds",
		"inner_product, cosine and l2 compare numbers", NULL, NULL, NULL},
	{STATUS_DENIED, "wants the role '%1'",
		"`repstore whoami` shows your roles; the operator gives them in [access] of the "
		"settings of repstored",
		NULL, NULL, NULL},
	{STATUS_BAD_REQUEST, "table: '%1' given, name@layer allowed for kind cr",
		"--layer NAME says of which layer it is", NULL, NULL, NULL},
};

/* Whether `said` begins here; the names are copied. */
static bool begins(const char *text, const char *said, char names[NAMES][NAME_BYTES])
{
	for (; *said != '\0'; said++) {
		if (*said != '%') {
			if (*text++ != *said) {
				return false;
			}
			continue;
		}
		char *name = names[*++said - '1'];
		const size_t len = strcspn(text, "'");
		if (len >= NAME_BYTES) {
			return false;
		}
		memcpy(name, text, len);
		name[len] = '\0';
		text += len;
	}
	return true;
}

static const struct remedy *find(enum status status, const char *text,
	char names[NAMES][NAME_BYTES])
{
	for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++) {
		for (const char *at = text; status == remedies[i].status && *at != '\0'; at++) {
			if (begins(at, remedies[i].said, names)) {
				return &remedies[i];
			}
		}
	}
	return NULL;
}

/* Appends with the names in their places; what does not fit is left out. */
static void append(char *out, const char *text, char names[NAMES][NAME_BYTES])
{
	size_t len = strlen(out);
	for (; *text != '\0'; text++) {
		if (*text == '%') {
			len += (size_t)snprintf(out + len, REMEDY_BYTES - len, "%s",
				names[*++text - '1']);
		} else {
			len += (size_t)snprintf(out + len, REMEDY_BYTES - len, "%c", *text);
		}
		if (len >= REMEDY_BYTES) {
			return;
		}
	}
}

/* Appends the name in the list that is near. */
static void append_near(char *out, const struct remedy *remedy, struct wire_value result,
	const char *given)
{
	const struct wire_value list = wire_get(result, remedy->list);
	const size_t count = wire_size(list) < LISTED_MAX ? wire_size(list) : LISTED_MAX;
	char(*names)[NAME_BYTES] = calloc(count + 1, sizeof *names);
	const char **words = calloc(count + 1, sizeof *words);
	for (size_t i = 0; names != NULL && words != NULL && i < count; i++) {
		words[i] = text_str_of(wire_item(list, i), remedy->name, names[i], NAME_BYTES);
	}
	const char *near =
		names == NULL || words == NULL ? NULL : suggestion_of(given, words, count);
	if (near != NULL) {
		snprintf(out, REMEDY_BYTES, "did you mean '%s'? ", near);
	}
	free(words);
	free(names);
}

static void ask(const struct session *session, const struct remedy *remedy,
	char names[NAMES][NAME_BYTES], char *out)
{
	struct session own = *session;
	struct answer answer = {0};
	struct rep_error err;
	struct wire_writer params = {0};
	const bool of_release = strstr(remedy->said, "%2") != NULL;
	own.timeout_ms = ASK_MS;
	wire_write_map(&params, of_release);
	if (of_release) {
		wire_write_str(&params, "release");
		wire_write_str(&params, names[1]);
	}
	if (session_connect_more(&own, &own.client, &err) == REP_OK &&
		session_try(&own, remedy->method, &params, &answer, &err) == REP_OK) {
		append_near(out, remedy, answer.result, names[0]);
		answer_close(&answer);
	}
	wire_writer_fini(&params);
	rep_close(own.client == session->client ? NULL : own.client);
}

void remedy_of(const struct session *session, enum status status, const char *text, char *out)
{
	char names[NAMES][NAME_BYTES] = {"", ""};
	const struct remedy *remedy = find(status, text, names);
	out[0] = '\0';
	if (remedy == NULL) {
		return;
	}
	if (remedy->method != NULL && session->client != NULL) {
		ask(session, remedy, names, out);
	}
	append(out, remedy->text, names);
}
