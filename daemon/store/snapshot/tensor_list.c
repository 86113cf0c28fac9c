/* tensor_list.c - the tensors of a release, in the order of their names. */
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The number of the tensor with this name; if there is none, the number that it would have. */
static size_t find(const struct release *release, const char *name, bool *found)
{
	size_t low = 0;
	size_t high = release->tensor_count;
	*found = false;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = strcmp(release->tensors[middle]->spec.name.text, name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

enum status release_tensor(const struct release *release, const char *name, struct tensor **out,
	struct error *err)
{
	bool found;
	const size_t i = find(release, name, &found);
	if (!found) {
		return error_set(err, STATUS_NOT_FOUND, "tensor: '%s' is not in release '%s'", name,
			release->id.text);
	}
	*out = release->tensors[i];
	return STATUS_OK;
}

enum status release_put_tensor(struct release *release, struct tensor *tensor)
{
	bool found;
	const size_t at = find(release, tensor->spec.name.text, &found);
	assert(release->refs ==
		1); /* no snapshot has it yet, or all readers would see the change */
	if (found) {
		tensor_drop(release->tensors[at]);
		release->tensors[at] = tensor;
		return STATUS_OK;
	}
	struct tensor **grown =
		realloc(release->tensors, (release->tensor_count + 1) * sizeof *grown);
	if (grown == NULL) {
		tensor_drop(tensor);
		return STATUS_NO_MEMORY;
	}
	release->tensors = grown;
	memmove(grown + at + 1, grown + at, (release->tensor_count - at) * sizeof *grown);
	grown[at] = tensor;
	release->tensor_count++;
	return STATUS_OK;
}

void release_remove_tensor(struct release *release, const char *name)
{
	bool found;
	const size_t at = find(release, name, &found);
	assert(found);
	assert(release->refs == 1);
	tensor_drop(release->tensors[at]);
	release->tensor_count--;
	memmove(release->tensors + at, release->tensors + at + 1,
		(release->tensor_count - at) * sizeof *release->tensors);
}

void release_drop_tensors(struct release *release)
{
	for (size_t i = 0; i < release->tensor_count; i++) {
		tensor_drop(release->tensors[i]);
	}
	free(release->tensors);
	release->tensors = NULL;
	release->tensor_count = 0;
}

enum status release_share_tensors(struct release *release, const struct release *from)
{
	struct tensor **tensors = calloc(from->tensor_count + 1, sizeof *tensors);
	if (tensors == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (size_t i = 0; i < from->tensor_count; i++) {
		assert(from->tensors[i]->refs > 0);
		tensors[i] = from->tensors[i];
		tensors[i]->refs++;
	}
	release_drop_tensors(release);
	release->tensors = tensors;
	release->tensor_count = from->tensor_count;
	release->next_tensor = from->next_tensor;
	return STATUS_OK;
}
