/* fuzz_certificate.c - the names of any certificate become those of a peer, whole or not at all, and give the roles that
 * they are to give.
 *
 * An input is a byte, and the certificate in DER, or a list of names to make one of: a byte for the kind, one for the length,
 * the bytes.
 */
#include "daemon/access/rules.h"
#include "daemon/net/credentials.h"
#include "tls/tls_parts.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAMES_MAX = 16, KINDS = 8 };

/* A name that a certificate was made with. */
struct given {
	enum tls_name_kind kind;
	const uint8_t *text;
	size_t len;
};

struct made {
	X509 *certificate; /* owned */
	struct given given[NAMES_MAX];
	size_t count;
	bool is_known; /* `given` has all of its names, as they stand there */
};

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* ---- a certificate ---- */

static void add_alternative(GENERAL_NAMES *names, int type, const uint8_t *text, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();
	require(name != NULL && string != NULL);
	require(ASN1_STRING_set(string, text, (int)len) == 1);
	GENERAL_NAME_set0_value(name, type, string);
	require(sk_GENERAL_NAME_push(names, name) > 0);
}

static void add_common_name(struct made *made, int type, const uint8_t *text, size_t len)
{
	X509_NAME *subject = X509_get_subject_name(made->certificate);
	if (X509_NAME_add_entry_by_NID(subject, NID_commonName, type, text, (int)len, -1, 0) != 1) {
		made->is_known = false; /* it is none of this type */
	}
}

static void add(struct made *made, GENERAL_NAMES *names, uint8_t kind, struct given *given)
{
	static const int types[KINDS] = {0, 0, V_ASN1_UTF8STRING, V_ASN1_BMPSTRING,
		V_ASN1_T61STRING, V_ASN1_UNIVERSALSTRING, 0, V_ASN1_PRINTABLESTRING};
	switch (kind % KINDS) {
	case 0:
		given->kind = TLS_NAME_URI;
		add_alternative(names, GEN_URI, given->text, given->len);
		made->count++;
		break;
	case 1:
		given->kind = TLS_NAME_DNS;
		add_alternative(names, GEN_DNS, given->text, given->len);
		made->count++;
		break;
	case 6:
		add_alternative(names, GEN_EMAIL, given->text,
			given->len); /* which is nobody's name */
		break;
	default:
		/* Of several the last one counts, and of other types it becomes UTF-8. */
		made->is_known = false;
		add_common_name(made, types[kind % KINDS], given->text, given->len);
		break;
	}
}

static void make(struct made *made, const uint8_t *data, size_t size)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	made->certificate = X509_new();
	made->is_known = true;
	require(names != NULL && made->certificate != NULL);
	for (size_t i = 0; i < NAMES_MAX && size >= 2; i++) {
		const size_t len = data[1] < size - 2 ? data[1] : size - 2;
		struct given *given = &made->given[made->count];
		*given = (struct given){.text = data + 2, .len = len};
		add(made, names, data[0], given);
		data += 2 + len;
		size -= 2 + len;
	}
	if (sk_GENERAL_NAME_num(names) > 0) {
		(void)X509_add1_ext_i2d(made->certificate, NID_subject_alt_name, names, 0, 0);
	}
	GENERAL_NAMES_free(names);
}

/* ---- its names ---- */

static bool is_given(const struct made *made, const struct tls_name *name)
{
	for (size_t i = 0; i < made->count; i++) {
		const struct given *given = &made->given[i];
		if (given->kind == name->kind && given->len == strlen(name->text) &&
			memcmp(given->text, name->text, given->len) == 0) {
			return true;
		}
	}
	return false;
}

/* How many of the given ones are to be found. */
static size_t count_whole(const struct made *made)
{
	size_t count = 0;
	for (size_t i = 0; i < made->count; i++) {
		const struct given *given = &made->given[i];
		count += given->len > 0 && given->len < TLS_NAME_BYTES &&
			 memchr(given->text, '\0', given->len) == NULL;
	}
	return count < TLS_NAMES_MAX ? count : TLS_NAMES_MAX;
}

static void judge_names(const struct made *made, const struct tls_peer *peer)
{
	require(peer->names_count <= TLS_NAMES_MAX);
	for (unsigned i = 0; i < peer->names_count; i++) {
		const struct tls_name *name = &peer->names[i];
		require(i == 0 || name->kind >= peer->names[i - 1].kind);
		require(strnlen(name->text, sizeof name->text) < sizeof name->text);
		require(name->text[0] != '\0');
		if (made->count > 0 && name->kind != TLS_NAME_CN) {
			require(is_given(made, name));
		}
	}
	if (made->is_known) {
		require(peer->names_count == count_whole(made));
	}
}

/* ---- its roles ---- */

static bool has_name(const struct tls_peer *peer, enum tls_name_kind kind, const char *text)
{
	for (unsigned i = 0; i < peer->names_count; i++) {
		if (peer->names[i].kind == kind && strcmp(peer->names[i].text, text) == 0) {
			return true;
		}
	}
	return false;
}

/* Whether a name is one label and ".pipeline". */
static bool has_pipeline(const struct tls_peer *peer)
{
	static const char end[] = ".pipeline";
	for (unsigned i = 0; i < peer->names_count; i++) {
		const char *text = peer->names[i].text;
		const char *dot = strchr(text, '.');
		if (peer->names[i].kind == TLS_NAME_DNS && dot != NULL &&
			strcasecmp(dot, end) == 0) {
			return true;
		}
	}
	return false;
}

static void judge_roles(const struct tls_peer *peer, const struct peer_identity *identity)
{
	static struct access_rules rules;
	if (rules.count == 0) {
		access_rules_init(&rules);
		require(access_rules_add(&rules, ROLE_READ, "cert:URI=spiffe://ads/ranker", NULL) ==
			STATUS_OK);
		require(access_rules_add(&rules, ROLE_WRITE, "cert:DNS=*.pipeline", NULL) ==
			STATUS_OK);
		require(access_rules_add(&rules, ROLE_PUBLISH, "cert:CN=bot", NULL) == STATUS_OK);
	}
	unsigned roles = ROLE_ANYBODY;
	roles |=
		has_name(peer, TLS_NAME_URI, "spiffe://ads/ranker") ? role_contained(ROLE_READ) : 0;
	roles |= has_pipeline(peer) ? role_contained(ROLE_WRITE) : 0;
	roles |= has_name(peer, TLS_NAME_CN, "bot") ? role_contained(ROLE_PUBLISH) : 0;
	require(access_roles(&rules, identity) == roles);
}

static void judge_text(const struct peer_identity *identity)
{
	char text[IDENTITY_TEXT_BYTES];
	require(identity_text(text, identity) == text);
	require(strncmp(text, "cert:", 5) == 0 && strlen(text) < sizeof text);
	for (const char *at = text; *at != '\0'; at++) {
		require(*at > ' ' && *at <= '~' && *at != '"' && *at != '\'');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct made made;
	struct tls_peer peer = {.names_count = 0};
	struct peer_identity identity;
	if (size == 0) {
		return 0;
	}
	made = (struct made){.certificate = NULL};
	if (data[0] % 2 == 0) {
		const uint8_t *at = data + 1;
		made.certificate = d2i_X509(NULL, &at, (long)(size - 1));
	} else {
		make(&made, data + 1, size - 1);
	}
	if (made.certificate != NULL) {
		tls_peer_read_names(made.certificate, &peer);
		judge_names(&made, &peer);
		require(credentials_identify(&peer, &identity) == STATUS_OK);
		judge_roles(&peer, &identity);
		judge_text(&identity);
		identity_fini(&identity);
	}
	X509_free(made.certificate);
	ERR_clear_error();
	return 0;
}
