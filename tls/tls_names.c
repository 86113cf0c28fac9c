/* tls_names.c - what refusals are called. */
#include "tls/tls.h"

const char *tls_refusal_name(enum tls_refusal refusal)
{
	static const char *const names[TLS_REFUSED_COUNT] = {
		[TLS_REFUSED_NOT_TLS] = "not_tls",
		[TLS_REFUSED_VERSION] = "version",
		[TLS_REFUSED_NO_CERTIFICATE] = "no_certificate",
		[TLS_REFUSED_AUTHORITY] = "authority",
		[TLS_REFUSED_EXPIRED] = "expired",
		[TLS_REFUSED_REVOKED] = "revoked",
		[TLS_REFUSED_LIST] = "list",
		[TLS_REFUSED_CERTIFICATE] = "certificate",
		[TLS_REFUSED_HANDSHAKE] = "handshake",
		[TLS_REFUSED_TIMEOUT] = "timeout",
		[TLS_REFUSED_DISPLACED] = "displaced",
	};
	return names[refusal];
}
