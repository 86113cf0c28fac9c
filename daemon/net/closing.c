/* closing.c - the names of reasons. */
#include "daemon/net/closing.h"

const char *refusal_name(enum refusal refusal)
{
	static const char *const names[REFUSAL_COUNT] = {
		[REFUSAL_MAX_CONNECTIONS] = "max_connections",
		[REFUSAL_USER_CONNECTIONS] = "user_connections",
		[REFUSAL_NO_ROLE] = "no_role",
		[REFUSAL_HANDSHAKES] = "handshakes",
		[REFUSAL_NO_DESCRIPTORS] = "no_descriptors",
		[REFUSAL_NO_MEMORY] = "no_memory",
	};
	return names[refusal];
}

const char *closing_name(enum closing closing)
{
	static const char *const names[CLOSING_COUNT] = {
		[CLOSING_IDLE] = "idle",
		[CLOSING_HALF_SENT] = "request_half_sent",
		[CLOSING_UNREAD] = "replies_unread",
		[CLOSING_MESSAGE] = "message_refused",
		[CLOSING_NO_MEMORY] = "no_memory",
	};
	return names[closing];
}
