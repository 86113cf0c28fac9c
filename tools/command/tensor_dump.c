/* tensor_dump.c - repstore tensor dump: all tensors of a release, or some, into a safetensors file. */
#include "tools/command/tensor_file.h"

#include "tools/command/options.h"
#include "tools/format/json_write.h"
#include "tools/format/output.h"
#include "tools/format/safetensors.h"
#include "tools/format/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)SAFETENSORS_DIMS_MAX == (int)REP_TENSOR_DIMS, "a shape fits");

struct tensor_save {
	const char *path;
	const char *release;
	struct rest names;         /* the tensors that are wanted; all if there are none */
	struct rep_tensor *listed; /* owned */
	size_t listed_count;
	struct safetensor *tensors; /* owned; their names are those of `listed` */
	size_t count;
	uint64_t bytes;
};

static const struct rep_tensor *find(const struct tensor_save *save, const char *name)
{
	for (size_t i = 0; i < save->listed_count; i++) {
		if (strcmp(save->listed[i].name, name) == 0) {
			return &save->listed[i];
		}
	}
	return NULL;
}

static void add(struct tensor_save *save, const struct rep_tensor *tensor)
{
	const struct tensor_type *type = tensor_type_of_dtype(tensor->dtype);
	assert(type != NULL);
	struct safetensor out = {
		.name = tensor->name,
		.type = safetensors_type_of(type->kind, type->bytes),
		.dims = tensor->dims,
		.bytes = tensor->bytes,
	};
	memcpy(out.shape, tensor->shape, sizeof out.shape);
	save->tensors[save->count++] = out;
	save->bytes += tensor->bytes;
}

/* Finds what is to be written; of `live` it stays with the release that is live now. */
static int list_tensors(struct session *session, struct tensor_save *save,
	struct rep_release *release)
{
	struct rep_error err;
	const char *named = strcmp(save->release, "live") == 0 ? NULL : save->release;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_release_show(session->client, named, release, &err) != REP_OK ||
		rep_tensor_list(session->client, release->id, &save->listed, &save->listed_count,
			&err) != REP_OK) {
		return session_refuse(session, &err);
	}
	const size_t most = save->names.count > 0 ? (size_t)save->names.count : save->listed_count;
	save->tensors = calloc(most > 0 ? most : 1, sizeof *save->tensors);
	if (save->tensors == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for %zu tensors",
			most);
	}
	for (size_t i = 0; save->names.count == 0 && i < save->listed_count; i++) {
		add(save, &save->listed[i]);
	}
	for (int i = 0; i < save->names.count; i++) {
		const struct rep_tensor *tensor = find(save, save->names.values[i]);
		if (tensor == NULL) {
			return session_refuse_text(session, STATUS_NOT_FOUND,
				"tensor: '%s' is not in release '%s'; `repstore tensor list %s` lists its tensors",
				save->names.values[i], release->id, release->id);
		}
		for (int j = 0; j < i; j++) {
			if (strcmp(save->names.values[j], save->names.values[i]) == 0) {
				return session_usage(session, "tensor dump: '%s' is named twice",
					save->names.values[i]);
			}
		}
		add(save, tensor);
	}
	return EXIT_DONE;
}

/* Writes the data of one tensor, which must be as it was when it was listed. */
static enum status write_tensor(const struct session *session, const char *release,
	const struct safetensor *tensor, struct output *output, struct error *err)
{
	struct rep_tensor got;
	struct rep_error rep_err;
	void *data = NULL;
	if (rep_tensor_get(session->client, release, tensor->name, &got, &data, &rep_err) !=
		REP_OK) {
		return error_set(err, (enum status)rep_err.status, "%s", rep_err.text);
	}
	const struct tensor_type *type = tensor_type_of_dtype(got.dtype);
	const bool same = type != NULL && type->kind == tensor->type->kind &&
			  type->bytes == tensor->type->bytes && got.dims == tensor->dims &&
			  memcmp(got.shape, tensor->shape, sizeof got.shape) == 0 &&
			  got.bytes == tensor->bytes;
	enum status status =
		same ? output_write(output, data, (size_t)tensor->bytes, err)
		     : error_set(err, STATUS_CONFLICT,
			       "tensor: '%s' has another dtype or shape than when the dump began; dump again",
			       tensor->name);
	free(data);
	return status;
}

static enum status write_file(const struct session *session, struct tensor_save *save,
	const char *release, struct error *err)
{
	struct output output = {0};
	enum status status = output_open(save->path, &output, err);
	if (status == STATUS_OK) {
		status = safetensors_write_header(save->tensors, save->count, &output, err);
	}
	for (size_t i = 0; i < save->count && status == STATUS_OK; i++) {
		status = write_tensor(session, release, &save->tensors[i], &output, err);
	}
	if (status == STATUS_OK) {
		return output_commit(&output, err);
	}
	output_abort(&output);
	return status;
}

static int report(const struct session *session, const struct tensor_save *save,
	const char *release)
{
	if (strcmp(save->path, "-") == 0) {
		return session_finish(session, EXIT_DONE);
	}
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", release);
		json_write_u64(&json, "tensors", save->count);
		json_write_u64(&json, "bytes", save->bytes);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		char size[TEXT_BYTES];
		printf("%zu tensors of %s, %s\n", save->count, release,
			text_size(save->bytes, size));
	}
	return session_finish(session, EXIT_DONE);
}

int tensor_dump(struct session *session, int argc, char **argv)
{
	struct rest rest;
	struct rep_release release;
	struct error err;
	int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count < 2) {
		return session_usage(session, "tensor dump: a release and a safetensors file");
	}
	struct tensor_save save = {
		.release = rest.values[0],
		.path = rest.values[1],
		.names = {.count = rest.count - 2, .values = rest.values + 2},
	};
	status = list_tensors(session, &save, &release);
	if (status == EXIT_DONE) {
		status = write_file(session, &save, release.id, &err) == STATUS_OK
				 ? report(session, &save, release.id)
				 : session_refuse_error(session, &err);
	}
	free(save.tensors);
	free(save.listed);
	return status;
}
