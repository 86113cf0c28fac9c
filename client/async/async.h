/* async.h - calls that are under way on connections that never block.
 *
 *   async_begin -> [the request is written] -> async_commit -> ... rep_async_step ... -> async_take
 *                                                                                    -> async_taken
 *
 * A call has a slot until two things are over: its result was taken, and nobody owes it an answer. The
 * slot's number is in the msgid, so an answer that comes after its call was given up finds out that it is
 * for nobody, and no later call is taken for it.
 *
 * Reads whose connection is lost are sent again, writes are not: they end with CLOSED.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_ASYNC_ASYNC_H
#define CLIENT_ASYNC_ASYNC_H

#include "client/async/hedge.h"
#include "client/async/peer.h"
#include "client/options.h"
#include "client/request.h"
#include "repstore_async.h"
#include "schema/link.h"
#include "schema/rpc.h"

enum call_kind {
	CALL_FETCH = 1,
	CALL_WRITE,
	CALL_RETRIEVE,
	CALL_SCORE,
	CALL_ANY, /* rep_async_call */
};

enum async_peer { ASYNC_MAIN = 0, ASYNC_HEDGE, ASYNC_PEERS };

/* What one peer has of a call. */
enum call_part {
	PART_NONE = 0,
	PART_QUEUED, /* it is to be sent; of the first one some may have been */
	PART_OWED,   /* it was sent, and the answer has not come */
};

struct async_call {
	uint64_t ticket; /* the slot's number in the lowest bits, and its generation */
	bool is_used;    /* else the slot is free */
	enum call_kind kind;
	bool is_read;      /* asking twice does no harm */
	bool is_hedgeable; /* a read that a second daemon may be asked, too */
	bool is_over;      /* it was answered, or has failed */
	bool is_taken;     /* nobody will ask for the result */
	uint8_t losses;    /* of connections that owed the answer */
	unsigned needs;    /* features that the daemon must have, of enum hello_feature */
	/* The request. NULL once it has been sent and will not be again. */
	uint8_t *bytes; /* owned */
	size_t len;
	int64_t begun_us;
	int64_t deadline_us;
	int64_t connect_by_us; /* to be sent by then if there is no connection */
	int64_t hedged_us;
	struct {
		enum call_part part;
		struct link link; /* in the peer's queue, or among the calls that it owes */
	} peers[ASYNC_PEERS];
	struct link may_hedge; /* reads in the order begun */
	/* The result: `status`, and an answer if that is OK. */
	enum status status;
	enum async_peer answered_by;
	uint64_t answered_losses; /* of that peer then */
	struct wire_bytes answer; /* in the buffer of the peer's transport, or in `kept` */
	uint8_t *kept;            /* owned */
	struct link borrowing;    /* among the calls whose answers are in that buffer */
	struct link done;         /* among those that rep_async_next hands out */
};

struct async_side {
	struct peer peer;
	struct link queue; /* of calls, in the order in which they are sent */
	size_t sent;       /* bytes of the first of them */
	struct link owed;
	struct link borrowing;
	int64_t heard_us; /* when it was last heard, or began to owe something */
};

struct rep_async {
	int epoll; /* owned; what the caller polls */
	int timer; /* owned; in it */
	int64_t armed_us;
	struct peer_place *places; /* owned; the last one is that for hedges if has_hedge */
	size_t places_count;
	bool has_hedge;
	char *hedge_address; /* owned */
	struct options options;
	bool is_gone; /* the connection was lost, with no_reconnect */
	size_t send_bytes_max;
	struct request request; /* of the call that is being made */
	struct async_side sides[ASYNC_PEERS];
	struct hedge hedge;
	struct async_call **slots; /* owned */
	uint32_t slots_count;
	uint32_t slots_cap;
	struct link idle; /* of slots that are free */
	uint32_t under_way;
	size_t queued_bytes; /* of requests that were not sent */
	size_t kept_bytes;   /* of answers that were not taken */
	int64_t due_us;      /* no call has anything due before it */
	struct link done;
	struct link may_hedge;
	struct rep_async_counters counters;
};

/* Begins to connect, so that the first call finds a connection. */
void async_connect(rep_async *async);

/* Begins a call; its request is async->request. Errors: BUSY  too many are under way; NO_MEMORY. */
enum status async_begin(rep_async *async, enum call_kind kind, struct async_call **out,
	struct error *err);

/* Sends what was written, if `written` says that it was; else ends the call. Errors: `written`; BUSY  too many bytes wait to be sent; CLOSED, TOO_LARGE, NO_MEMORY. */
enum status async_commit(rep_async *async, struct async_call *call, enum status written,
	uint64_t *ticket, struct error *err);

/* An answer; it is valid until async_taken. */
struct async_reply {
	struct async_call *call;
	struct wire_message *message; /* owned */
	struct wire_value result;
	struct wire_bytes bytes;
};

/* The answer to a call that is over. After any error but BAD_REQUEST the ticket is gone.
 * Errors: BAD_REQUEST  no such ticket, of another kind, or its call is not over; TIMEOUT, CLOSED, IO,
 *         PROTOCOL, NO_MEMORY; what the daemon answered. */
enum status async_take(rep_async *async, uint64_t ticket, enum call_kind kind,
	struct async_reply *out, struct error *err);

/* Ends the reading of an answer; `read` is what became of it. After TOO_LARGE it may be taken again; after
 * PROTOCOL the connection is given up. Returns `read`. */
enum status async_taken(rep_async *async, struct async_reply *reply, enum status read);

#endif
