/* pipeline.c - sends now, receives later. */
#include "client/pipeline.h"

#include <assert.h>

static const char *what_of(enum client_pipeline pipeline)
{
	return pipeline == CLIENT_FETCHES ? "fetch" : "write";
}

enum status pipeline_send(rep_client *client, enum client_pipeline pipeline, struct error *err)
{
	assert(pipeline == CLIENT_FETCHES || pipeline == CLIENT_WRITES);
	uint32_t msgid = 0;
	enum status status = client_send(client, client_deadline_ms(client), &msgid, err);
	if (status == STATUS_OK) {
		client_set_pipeline(client, msgid, pipeline);
	}
	return status;
}

enum status pipeline_receive(rep_client *client, enum client_pipeline pipeline, struct reply *out,
	struct error *err)
{
	if (client->lost[pipeline] > 0) {
		client->lost[pipeline]--;
		return error_set(err, STATUS_CLOSED,
			"'%s': the connection was lost before the answer%s",
			client->transport.address,
			pipeline == CLIENT_WRITES ? "; whether the write was done is not known"
						  : "");
	}
	uint32_t msgid = 0;
	if (!client_oldest(client, pipeline, &msgid)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"no %s was sent that waits to be received", what_of(pipeline));
	}
	client_set_pipeline(client, msgid, CLIENT_NO_PIPELINE);
	return client_receive(client, msgid, client_deadline_ms(client), out, err);
}
