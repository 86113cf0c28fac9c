/* certificates.c - opens the files of [tls], and tells how long they hold. */
#include "daemon/certificates.h"

#include "daemon/journal.h"
#include "daemon/settings.h"
#include "daemon/store/system/clock.h"

enum { WARN_DAYS = 14 };

enum status certificates_open(const struct settings *settings, struct tls_context **out,
	struct error *err)
{
	const struct tls_files files = {
		.certificate = settings->tls_certificate,
		.key = settings->tls_key,
		.authority = settings->tls_authority,
		.crl = settings->tls_crl[0] != '\0' ? settings->tls_crl : NULL,
	};
	const char *missing = files.certificate[0] == '\0' ? "certificate"
			      : files.key[0] == '\0'       ? "key"
			      : files.authority[0] == '\0' ? "authority"
							   : NULL;
	return missing != NULL ? error_set(err, STATUS_BAD_REQUEST,
					 "tls: addresses need the setting '%s' in [tls]", missing)
			       : tls_context_open(&files, TLS_SERVER, out, err);
}

void certificates_announce(const struct tls_context *context)
{
	const int64_t now_ms = clock_unix_ms();
	const int64_t day_ms = INT64_C(24) * 3600 * 1000;
	const int64_t left_ms = tls_context_not_after_ms(context) - now_ms;
	const int64_t crl_next_ms = tls_context_crl_next_ms(context);
	journal_event(left_ms < WARN_DAYS * day_ms ? JOURNAL_WARNING : JOURNAL_INFO,
		"event=tls_certificate days_left=%lld", (long long)(left_ms / day_ms));
	if (crl_next_ms != 0 && crl_next_ms <= now_ms) {
		journal_event(JOURNAL_WARNING,
			"event=tls_crl_out_of_date error=\"certificates of its authority are refused until there is a newer one\"");
	}
}
