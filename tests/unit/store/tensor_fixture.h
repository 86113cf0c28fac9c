/* tensor_fixture.h - tensors of a scratch store whose elements say which version they are.
 *
 * What a call here cannot do fails the test, unless it returns a status.
 */
#ifndef TESTS_UNIT_STORE_TENSOR_FIXTURE_H
#define TESTS_UNIT_STORE_TENSOR_FIXTURE_H

#include "schema/tensor.h"
#include "tests/unit/store/scratch.h"

enum { TENSOR_FIXTURE_ELEMENTS = 3000 };

struct tensor_spec tensor_fixture_spec(const char *name, uint32_t elements);
void tensor_fixture_fill(uint32_t *data, uint32_t elements, uint32_t version);

/* One tensor of any spec. */
enum status tensor_fixture_send(struct scratch *scratch, const char *release,
	const struct tensor_spec *spec, const void *data, struct name *resolved, struct error *err);
enum status tensor_fixture_try_put(struct scratch *scratch, const char *release, const char *name,
	uint32_t version, struct error *err);
void tensor_fixture_put(struct scratch *scratch, const char *release, const char *name,
	uint32_t version);
void tensor_fixture_delete(struct scratch *scratch, const char *release, const char *name);

/* The version of a tensor's data, all of which must be of it. */
enum status tensor_fixture_get(struct scratch *scratch, const char *id, const char *name,
	uint32_t *version, struct error *err);
void tensor_fixture_expect(struct scratch *scratch, const char *release, const char *name,
	uint32_t version);
void tensor_fixture_expect_none(struct scratch *scratch, const char *release, const char *name);

/* Tensor files of a folder of the store. */
size_t tensor_fixture_files(struct scratch *scratch, const char *folder);
/* Waits until the janitor has removed what waits. */
void tensor_fixture_await_files(struct scratch *scratch, const char *folder, size_t count);

#endif
