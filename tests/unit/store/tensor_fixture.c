/* tensor_fixture.c - tensors that say which version they are. */
#include "tests/unit/store/tensor_fixture.h"

#include "daemon/store/admin/admin.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/tensor/tensor.h"
#include "tests/unit/wait.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct tensor_spec tensor_fixture_spec(const char *name, uint32_t elements)
{
	struct tensor_spec spec = {.dtype = TENSOR_F32, .dims = 1, .shape = {elements}};
	(void)snprintf(spec.name.text, sizeof spec.name.text, "%s", name);
	return spec;
}

void tensor_fixture_fill(uint32_t *data, uint32_t elements, uint32_t version)
{
	for (uint32_t i = 0; i < elements; i++) {
		data[i] = version * 0x10001 + i;
	}
}

enum status tensor_fixture_send(struct scratch *scratch, const char *release,
	const struct tensor_spec *spec, const void *data, struct name *resolved, struct error *err)
{
	const struct tensor_given given = {.spec = *spec, .data = data};
	return store_tensors_put(scratch->store, release, &given, 1, resolved, err);
}

enum status tensor_fixture_try_put(struct scratch *scratch, const char *release, const char *name,
	uint32_t version, struct error *err)
{
	static uint32_t data[TENSOR_FIXTURE_ELEMENTS];
	struct name resolved;
	const struct tensor_spec spec = tensor_fixture_spec(name, TENSOR_FIXTURE_ELEMENTS);
	tensor_fixture_fill(data, TENSOR_FIXTURE_ELEMENTS, version);
	return tensor_fixture_send(scratch, release, &spec, data, &resolved, err);
}

void tensor_fixture_put(struct scratch *scratch, const char *release, const char *name,
	uint32_t version)
{
	struct error err = {0};
	scratch_must(tensor_fixture_try_put(scratch, release, name, version, &err), &err);
}

void tensor_fixture_delete(struct scratch *scratch, const char *release, const char *name)
{
	struct error err = {0};
	struct name resolved;
	scratch_must(store_tensor_delete(scratch->store, release, name, &resolved, &err), &err);
}

enum status tensor_fixture_get(struct scratch *scratch, const char *id, const char *name,
	uint32_t *version, struct error *err)
{
	static uint32_t expected[TENSOR_FIXTURE_ELEMENTS];
	const struct release *release;
	struct tensor *tensor;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	enum status status = snapshot_release(snapshot, id, &release, err);
	if (status == STATUS_OK) {
		status = release_tensor(release, name, &tensor, err);
	}
	if (status == STATUS_OK) {
		status = store_tensor_use(scratch->store, release, tensor, true, err);
	}
	if (status == STATUS_OK) {
		uint32_t first;
		assert_int_equal((uintptr_t)tensor->data % 64, 0);
		assert_true(tensor_is_sound(tensor));
		memcpy(&first, tensor->data, sizeof first);
		*version = first / 0x10001;
		tensor_fixture_fill(expected, tensor->spec.shape[0], *version);
		assert_memory_equal(tensor->data, expected, tensor_bytes(&tensor->spec));
	}
	snapshot_end(scratch->store);
	return status;
}

void tensor_fixture_expect(struct scratch *scratch, const char *release, const char *name,
	uint32_t version)
{
	struct error err = {0};
	uint32_t found = 0;
	scratch_must(tensor_fixture_get(scratch, release, name, &found, &err), &err);
	assert_int_equal(found, version);
}

void tensor_fixture_expect_none(struct scratch *scratch, const char *release, const char *name)
{
	struct error err = {0};
	uint32_t found;
	assert_int_equal(tensor_fixture_get(scratch, release, name, &found, &err),
		STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, name));
}

size_t tensor_fixture_files(struct scratch *scratch, const char *folder)
{
	char path[PATH_MAX];
	scratch_path(scratch, path, folder);
	return scratch_count(path, "tensor-");
}

void tensor_fixture_await_files(struct scratch *scratch, const char *folder, size_t count)
{
	for (struct wait wait = {0}; tensor_fixture_files(scratch, folder) != count;) {
		wait_a_moment(&wait);
	}
}
