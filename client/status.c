/* status.c - the public enums have the same numbers as those of the wire. */
#include "client/client.h"
#include "config.h"
#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/spec.h"

#include <assert.h>

static_assert(REP_OK == (int)STATUS_OK, "status");
static_assert(REP_BAD_REQUEST == (int)STATUS_BAD_REQUEST, "status");
static_assert(REP_NOT_FOUND == (int)STATUS_NOT_FOUND, "status");
static_assert(REP_EXISTS == (int)STATUS_EXISTS, "status");
static_assert(REP_CONFLICT == (int)STATUS_CONFLICT, "status");
static_assert(REP_NOT_SEALED == (int)STATUS_NOT_SEALED, "status");
static_assert(REP_SEALED == (int)STATUS_SEALED, "status");
static_assert(REP_TOO_LARGE == (int)STATUS_TOO_LARGE, "status");
static_assert(REP_BUSY == (int)STATUS_BUSY, "status");
static_assert(REP_GAP == (int)STATUS_GAP, "status");
static_assert(REP_DENIED == (int)STATUS_DENIED, "status");
static_assert(REP_CORRUPT == (int)STATUS_CORRUPT, "status");
static_assert(REP_DISK_FULL == (int)STATUS_DISK_FULL, "status");
static_assert(REP_READ_ONLY == (int)STATUS_READ_ONLY, "status");
static_assert(REP_NO_MEMORY == (int)STATUS_NO_MEMORY, "status");
static_assert(REP_IO == (int)STATUS_IO, "status");
static_assert(REP_UNSUPPORTED == (int)STATUS_UNSUPPORTED, "status");
static_assert(REP_PROTOCOL == (int)STATUS_PROTOCOL, "status");
static_assert(REP_TIMEOUT == (int)STATUS_TIMEOUT, "status");
static_assert(REP_CLOSED == (int)STATUS_CLOSED, "status");
static_assert(REP_INTERNAL == (int)STATUS_INTERNAL, "status");
static_assert(REP_INTERNAL + 1 == (int)STATUS_COUNT, "every status has a public name");

/* client_error() casts one to the other. */
static_assert(sizeof(struct rep_error) == sizeof(struct error), "error");
static_assert(offsetof(struct rep_error, status) == offsetof(struct error, status), "error");
static_assert(offsetof(struct rep_error, text) == offsetof(struct error, text), "error");

static_assert(REP_DTYPE_TABLE == (int)DTYPE_NONE, "dtype");
static_assert(REP_F32 == (int)DTYPE_F32, "dtype");
static_assert(REP_F16 == (int)DTYPE_F16, "dtype");
static_assert(REP_BF16 == (int)DTYPE_BF16, "dtype");
static_assert(REP_I8 == (int)DTYPE_I8, "dtype");
static_assert(REP_BIT == (int)DTYPE_BIT, "dtype");
static_assert(REP_F64 == (int)DTYPE_F64, "dtype");
static_assert(REP_KEY_U64 == (int)KEY_U64, "key type");
static_assert(REP_KEY_BYTES == (int)KEY_BYTES, "key type");
static_assert(REP_USER == (int)ENTITY_USER, "entity");
static_assert(REP_ITEM == (int)ENTITY_ITEM, "entity");
static_assert(REP_UR == (int)KIND_UR, "kind");
static_assert(REP_IR == (int)KIND_IR, "kind");
static_assert(REP_CR == (int)KIND_CR, "kind");
static_assert(REP_SUM == (int)READING_SUM, "reading");
static_assert(REP_MEAN == (int)READING_MEAN, "reading");
static_assert(REP_LAYER_NORM == (int)READING_LAYER_NORM, "reading");
static_assert(REP_INDEX_NONE == (int)INDEX_NONE, "index");
static_assert(REP_INDEX_BALLS == (int)INDEX_BALLS, "index");

const char *rep_status_name(enum rep_status status)
{
	return status_name((enum status)status);
}

const char *rep_version(void)
{
	return REPSTORE_VERSION;
}

size_t rep_row_bytes(enum rep_dtype dtype, uint32_t dim, uint32_t views)
{
	return dtype_row_bytes((enum dtype)dtype, dim, views);
}
